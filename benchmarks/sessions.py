"""From events to sessions on one machine: `make bench-sessions EVENTS=20000000`. Asserts nothing.

Puts EVENTS calls into the raw table, as DuckDB makes them: a visitor of eight, three calls a visit, half a year as it
goes by, one visit of ten told up to three days late. Builds all models that follow, without tests: of that; then
with 1 % more calls, from the two days after it; then with 1 % more that happened anywhere in the half year, which no
source does, but is the worst that can be. Prints seconds and peak memory of dbt, and the models that took longest.
"""

import json
import os
import tempfile
from pathlib import Path

import duckdb

FOLDER = Path(os.environ.get("FOLDER") or tempfile.mkdtemp(prefix="catchment-sessions-"))
os.environ |= {"WAREHOUSE_DIR": str(FOLDER), "DBT_TARGET": "local", "DBT_TARGET_PATH": f"{FOLDER}/target"}

from scale import BUILD, measure  # noqa: E402

from ingestion.pipeline import opened, warehouse_path  # noqa: E402
from ingestion.systems import select  # noqa: E402

MODELS = ["fct_web_sessions", "fct_page_views", "fct_screen_views", "fct_traffic_daily", "fct_funnel_daily"]
CALLS = """
    insert into raw_events.events by name
    with numbers as (
        select i, hash(i) as h, hash(i // 3) as visit, hash(i // 3) % {visitors} as visitor
        from range({start}, {stop}) r(i)
    ),
    calls as (
        select *, timestamptz '2026-02-01 00:00:00+00' + to_milliseconds((1000 * ({second}) + h % 1200000)::bigint)
                as happened_at,
            'https://www.shop.example/products/' || (h // 128) % 5000
                || case when h % 17 = 0 then '?utm_source=x' else '' end as url
        from numbers
    ),
    named as (
        select *, printf('%032x-%x', h, i) as message_id,
            case when h % 10 < 6 then 'page' when h % 10 < 7 then 'screen' else 'track' end as event_type
        from calls
    )
    select message_id, event_type, printf('%032x', visitor * 2654435761) as anonymous_id,
        case when h % 10 >= 7
            then ['Product Added', 'Checkout Started', 'Order Completed', 'Played'][(1 + h // 16 % 4)::int]
        end as event,
        json_object('url', url, 'sku', h % 999, 'order_id', i::varchar) as properties,
        json_object(
            'page', json_object('url', url, 'path', '/products', 'title', 'Product ' || (h // 128) % 5000, 'referrer',
                case when h % 3 = 0 then 'https://www.google.com/' else 'https://www.shop.example/' end),
            'userAgent', 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0',
            'locale', 'de-DE', 'library', json_object('name', 'analytics.js', 'version', '4.1.0')
        ) as context,
        happened_at as original_timestamp, happened_at as sent_at, happened_at as received_at,
        message_id as _key, (h >> 1)::bigint as _row_hash,
        timestamptz '2026-08-15 00:00:00+00' + interval {load} day as _observed_at, 'load {load}' as _dlt_load_id
    from named
"""
HALF_A_YEAR = 180 * 86_400
AS_IT_HAPPENS = f"i * {HALF_A_YEAR} // {{events}} - case when visit % 10 = 0 then visit % (3 * 86400) else 0 end"
ANYWHERE = f"visit % {HALF_A_YEAR}"


def add(load: int, start: int, stop: int, events: int, second: str) -> None:
    """Adds calls to the raw table, in parts that fit into memory; `second` is SQL for when a visit began."""
    for first in range(start, stop, 1_000_000):
        with duckdb.connect(str(warehouse_path())) as warehouse:
            numbers = {"start": first, "stop": min(first + 1_000_000, stop), "visitors": events // 8, "load": load}
            warehouse.execute(CALLS.format(**numbers, second=second.format(events=events)))


def build(name: str) -> float:
    """Builds, and prints how long it took; returns the seconds."""
    seconds, peak = measure([*BUILD, "--select", *(f"+{model}" for model in MODELS)], dict(os.environ))
    print(f"{name:<20}{seconds:>8.1f} s{peak:>8.0f} MB", flush=True)
    results = json.loads((FOLDER / "target/run_results.json").read_text())["results"]
    for result in sorted(results, key=lambda result: -result["execution_time"])[:8]:
        print(f"    {result['execution_time']:>8.1f} s  {result['unique_id'].split('.')[-1]}", flush=True)
    return seconds


def main() -> None:
    """Builds three times; EVENTS is in the environment."""
    events = int(os.environ.get("EVENTS") or 20_000_000)
    with opened(select(["events"])):
        pass
    more = events // 100
    add(0, 0, events, events, AS_IT_HAPPENS)
    full = build(f"{events:,} events")
    add(1, events, events + more, events, AS_IT_HAPPENS)
    print(f"of the full build: {build('1 % more') / full:.1%}")
    add(2, events + more, events + 2 * more, events, ANYWHERE)
    print(f"of the full build: {build('1 % more, anywhere') / full:.1%}")


if __name__ == "__main__":
    main()
