"""The command line: python -m ingestion list | check | run | collect | status | replay | scaffold |
export."""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from ingestion import enrichments, export, live, pipeline, replay, scaffold
from ingestion.display import Display
from ingestion.errors import ConfigurationError, SourceError, explain
from ingestion.stream import Run, Stream
from ingestion.systems import System, option, select

ALL_WELL, SOME_FAILED, NOTHING_TRIED = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 all well, 1 some stream failed, 2 nothing could be tried."""
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.command(parsed)
    except ConfigurationError as error:
        print(f"ingestion: {explain(error)}", file=sys.stderr)
        return NOTHING_TRIED
    except KeyboardInterrupt:
        print("ingestion: interrupted; the next run goes on from what was loaded", file=sys.stderr)
        return SOME_FAILED


def list_command(parsed: argparse.Namespace) -> int:
    """What systems and streams there are, and which are configured."""
    is_sandbox = pipeline.target() == "sandbox"
    for system in select(parsed.systems):
        missing = [] if is_sandbox else system.missing
        print(f"{system.name}: {system.description}")
        if is_sandbox:
            print("  configured: by the sandbox (DBT_TARGET=local for your own)")
        else:
            print(f"  not configured: set {', '.join(missing)}" if missing else "  configured")
        for stream in _listed(system):
            bounded = f" (--since/--until by {stream.cursor})" if stream.has_times else ""
            print(f"  {stream.name:<16} {type(stream.kind).__name__.lower():<9}{stream.contract.description}{bounded}")
    return ALL_WELL


def _listed(system: System) -> Sequence[Stream]:
    try:
        return list(system.streams)
    except SourceError as error:  # of a database, which has to answer for that
        print(f"  {explain(error)}")
        return []
    finally:
        if system.has_catalog and system.given:
            system.connect().close()


def check_command(parsed: argparse.Namespace) -> int:
    """Can we connect, are we allowed, how much is there."""
    failed = 0
    with _configured(parsed.systems) as systems, contextlib.ExitStack() as cleanup:
        for system in systems:
            reader = None
            try:
                streams = list(system.streams if system.has_catalog else system.chosen)
            except SourceError as error:
                failed += 1
                print(f"{system.name}: failed: {explain(error)}", flush=True)
                continue
            for stream in streams:
                try:
                    if reader is None:
                        reader = system.connect()
                        cleanup.callback(reader.close)
                    print(f"{system.name}.{stream.name}: ok, {reader.check(stream)}", flush=True)
                except Exception as error:
                    failed += 1
                    print(f"{system.name}.{stream.name}: failed: {explain(error)}", flush=True)
    return SOME_FAILED if failed else ALL_WELL


def run_command(parsed: argparse.Namespace) -> int:
    """Reads and loads."""
    bounded = bool(parsed.since or parsed.until)

    def streams(all_streams: Sequence[Stream]) -> list[Stream]:
        return [stream for stream in all_streams if stream.has_times or not bounded]

    with _configured(parsed.systems) as systems:
        systems = [system for system in systems if system.has_catalog or streams(system.streams)]
        unbounded = ConfigurationError("none of these streams can be bounded by --since or --until; see: list")
        if not systems:
            raise unbounded
        display = Display([system.name for system in systems])
        run_id = Run().run_id

        def run_for(system: System) -> Run:
            return Run(
                run_id=run_id,
                full=parsed.full,
                since=parsed.since,
                until=parsed.until,
                accept_deletes=parsed.accept_deletes,
                report=lambda stream, rows: display.progress(system.name, stream, rows),
            )

        with pipeline.opened(select([])) as warehouse, display:
            errors = pipeline.run(warehouse, systems, run_for, streams)
            errors |= pipeline.enrich(warehouse, Run(run_id=run_id))
            ledger = warehouse.query(
                "select distinct on (system, stream) * from raw_operations.load_ledger where run_id = ?",
                [run_id],
            )
        if not errors and not {row["system"] for row in ledger} & {system.name for system in systems}:
            raise unbounded
        display.summary(ledger, errors, pipeline.target(), warehouse.name)
    failed = errors or any(row["status"] == "failed" for row in ledger)
    return SOME_FAILED if failed else ALL_WELL


def collect_command(parsed: argparse.Namespace) -> int:
    """Stays connected to live sources, and keeps what they send for the next run."""
    over, failed = threading.Event(), []

    def collect(system: System) -> None:
        try:
            reader = system.connect()
            try:
                live.collect(reader.source, reader.spool, over.is_set, lambda text: tell(system, text))
            finally:
                reader.close()
        except Exception as error:  # one source's failure must not stop the others
            failed.append(system.name)
            tell(system, f"failed: {explain(error)}")

    def tell(system: System, text: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {system.name}: {text}", flush=True)

    if not_live := [system.name for system in select(parsed.systems) if parsed.systems and not system.is_live]:
        raise ConfigurationError(f"{', '.join(not_live)} can't be collected, only run")
    names = [system.name for system in select(parsed.systems) if system.is_live]
    with _configured(names) as systems, ThreadPoolExecutor(max_workers=len(systems)) as pool:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
        list(pool.map(collect, systems))
    return SOME_FAILED if failed else ALL_WELL


def status_command(parsed: argparse.Namespace) -> int:
    """Per stream: last success, rows, rejected, freshness."""
    with pipeline.opened(select([])) as warehouse:
        rows = warehouse.query(_STATUS)
    now = datetime.now(UTC)
    for row in rows:
        last = row["last_success_at"]
        row["hours_since_success"] = round((now - last).total_seconds() / 3600, 2) if last else None
    if parsed.json:
        print(json.dumps(rows, default=str, indent=2))
        return ALL_WELL
    print(f"{'stream':<32}{'last success (UTC)':<22}{'hours':>8}{'loaded':>12}{'open rejected':>15}  last run")
    for row in rows:
        last = row["last_success_at"].strftime("%Y-%m-%d %H:%M:%S") if row["last_success_at"] else "never"
        hours = "" if row["hours_since_success"] is None else f"{row['hours_since_success']:.1f}"
        print(
            f"{row['system'] + '.' + row['stream']:<32}{last:<22}{hours:>8}{row['rows_loaded']:>12,}"
            f"{row['rows_rejected_open']:>15,}  {row['last_status']}{': ' + row['error'] if row['error'] else ''}"
        )
    return ALL_WELL


_STATUS = """
    with ledger as (select distinct * from raw_operations.load_ledger where status != 'replayed'),
    rejected as (
        select system, stream, rejected_id from raw_operations.rejected_rows
        group by all having not bool_or(is_replayed)
    )
    select system, stream, max(finished_at) filter (status = 'complete') as last_success_at,
        cast(sum(rows_loaded) as bigint) as rows_loaded, max_by(rows_rejected, finished_at) as rows_rejected_last,
        (select count(*) from rejected r where r.system = ledger.system and r.stream = ledger.stream)
            as rows_rejected_open,
        max_by(status, finished_at) as last_status, arg_max_null(error, finished_at) as error
    from ledger group by all order by all
"""


def replay_command(parsed: argparse.Namespace) -> int:
    """Validates rejected rows again with today's contract."""
    (system,) = select([parsed.system])
    with pipeline.opened(select([])) as warehouse:
        outcome = replay.replay(warehouse, system)
    for stream, (loaded, rejected) in outcome.items():
        print(f"{system.name}.{stream}: {loaded:,} loaded, {rejected:,} still rejected")
    if not outcome:
        print(f"{system.name}: no rejected rows to replay")
    return ALL_WELL


def scaffold_command(parsed: argparse.Namespace) -> int:
    """Writes dbt sources from the contracts, and of databases that are only configured the first staging models."""
    systems = [*select(parsed.systems), *([] if parsed.systems else [enrichments.SYSTEM])]
    unready = [system for system in systems if system.has_catalog and system.missing]
    if parsed.systems and unready:
        raise ConfigurationError(_needs(unready))
    failed = 0
    with contextlib.ExitStack() as cleanup:
        warehouse = None
        for system in systems:
            if system in unready:
                continue
            try:
                if not system.has_catalog:
                    told = scaffold.write_sources(system)
                else:
                    warehouse = warehouse or cleanup.enter_context(pipeline.opened(select([])))
                    told = scaffold.write_models(system, warehouse)
                print(*told, sep="\n", flush=True)
            except SourceError as error:
                failed += 1
                print(f"{system.name}: failed: {explain(error)}", flush=True)
    return SOME_FAILED if failed else ALL_WELL


def export_command(parsed: argparse.Namespace) -> int:
    """Writes a training set: features as of some moments, with what became of them, as Parquet and JSON."""
    told = export.export(parsed.entity, parsed.as_of, parsed.label, parsed.to)
    for moment in told["as_of"]:
        left_out = f", {moment['left_out']:,} without label left out" if moment.get("left_out") else ""
        print(f"{parsed.entity} as of {moment['as_of_at']}: {moment['rows']:,} rows{left_out}")
    print(f"wrote {parsed.to / told['file']}, sha256 {told['sha256']}")
    return ALL_WELL


@contextlib.contextmanager
def _configured(names: list[str]) -> Iterator[list[System]]:
    """The systems to try, configured: by the sandbox, which runs for the length of the block, or by the user.

    Without names, those that are configured; raises ConfigurationError if there are none, if a named one is
    not, or if real credentials are present while the target is the sandbox.
    """
    systems = select(names)
    if pipeline.target() == "sandbox":
        present = [option(s.section, name) for s in select([]) for name in s.given]
        if present:
            raise ConfigurationError(
                f"DBT_TARGET is sandbox, but {', '.join(present)} is set: set DBT_TARGET=local to load your own data"
            )
        import sandbox  # its packages are not installed where only real sources are loaded

        absent = [system.name for system in systems if system.name not in sandbox.SYSTEMS]
        if absent and (names or len(absent) == len(systems)):
            raise ConfigurationError(
                f"the sandbox has no {', '.join(absent)}: set DBT_TARGET=local to load your own data"
            )
        systems = [system for system in systems if system.name in sandbox.SYSTEMS]
        print("sandbox: starting", flush=True)
        for name in absent:
            print(f"{name}: left out, the sandbox does not have it", flush=True)
        try:
            with sandbox.running([system.name for system in systems]) as options:
                os.environ.update(options)
                yield select([system.name for system in systems])
        except sandbox.InUse as error:
            raise ConfigurationError(str(error)) from error
        return
    ready = [system for system in systems if not system.missing]
    unready = [system for system in systems if system.missing]
    if (names and unready) or not ready:
        raise ConfigurationError(_needs(unready))
    yield ready


def _needs(systems: list[System]) -> str:
    lines = [f"{system.name} needs {', '.join(system.missing)}" for system in systems]
    return f"not configured: {'; '.join(lines)} (as environment or in .dlt/secrets.toml)"


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _label(text: str) -> export.Label:
    column, _, days = text.partition("/")
    if not column or not days.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no label: write a column and days, as has_failure/7")
    return export.Label(column, int(days))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ingestion", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command, systems: str | None) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        added.set_defaults(command=command)
        if systems:
            added.add_argument("systems", nargs="*", metavar="SYSTEM", help=systems)
        return added

    add("list", list_command, "only these systems")
    add("check", check_command, "only these systems (default: all that are configured)")
    run = add("run", run_command, "only these systems (default: all that are configured)")
    run.add_argument("--full", action="store_true", help="read everything again, from the beginning")
    run.add_argument("--since", type=_time, metavar="TIME", help="read only what changed from TIME on (ISO, UTC)")
    run.add_argument("--until", type=_time, metavar="TIME", help="read only what changed before TIME (ISO, UTC)")
    run.add_argument("--accept-deletes", action="store_true", help="mark rows gone even if that is most of a stream")
    add("collect", collect_command, "only these systems (default: all live ones)")
    status = add("status", status_command, None)
    status.add_argument("--json", action="store_true", help="as JSON")
    add("replay", replay_command, None).add_argument("system", metavar="SYSTEM")
    add("scaffold", scaffold_command, "only these systems")
    exports = add("export", export_command, None)
    exports.add_argument("entity", metavar="FEATURES", help="of what: devices, ... (marts.ftr_<FEATURES>_daily)")
    exports.add_argument(
        "--as-of",
        action="append",
        required=True,
        metavar="TIME",
        help="a day, whose midnight (business_time_zone) it is, or a time (UTC); may be given several times",
    )
    exports.add_argument("--label", type=_label, metavar="COLUMN/DAYS", help="with what became of it, as has_failure/7")
    exports.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the files are written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
