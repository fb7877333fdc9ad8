"""Pages of a REST API to DuckDB, Catchment and its peers: `make bench-rest`. Prints time and memory; asserts nothing.

    make bench-rest PAGES=200 ROUNDS=5 CONTESTANTS=catchment,bare

A server of its own process gives PAGES pages of 500 nested objects each. In a round every contestant runs once, whole
process, so that a slow minute of the machine falls on all alike; a ratio is the median of the rounds' ratios to the
bare loop. What landed is compared by count and sums.
"""

import datetime
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from contestants import CACHE, FILE, HERE, Contestant
from databases import measure

SIZE = 500
FINGERPRINT = "select count(*), sum(cast({id} as bigint)), sum(length({city})), count({seats}) from {table}"


def contact(number: int) -> dict:
    """A nested object of about 900 bytes, as a CRM has them: texts for numbers, null, a list."""
    names = ("firstname", "lastname", "phone", "company", "jobtitle", "lifecyclestage", "hs_lead_status", "website")
    moment = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:15:30.{number % 1000:03}Z"
    return {
        "id": str(number),
        "properties": {
            **{name: f"{name} of {number}" for name in names},
            "email": f"person{number}@example.com",
            "seats": str(number % 90) if number % 3 else None,
            "revenue": f"{number}.{number % 100:02}",
            "address": {"city": f"City {number % 977}", "zip": f"{number % 99999:05}", "country": "DE"},
        },
        "tags": [{"id": number % 7, "name": "café"}, {"id": number % 5, "name": "newsletter"}],
        "createdAt": moment,
        "updatedAt": moment,
        "archived": False,
    }


def serve(pages: int, port: multiprocessing.SimpleQueue) -> None:
    """GET /contacts?page=N answers the objects and the number of the next page."""
    bodies = []
    for number in range(1, pages + 1):
        rows = [contact(n) for n in range((number - 1) * SIZE, number * SIZE)]
        bodies.append(json.dumps({"results": rows, "next": number + 1 if number < pages else None}).encode())
    bodies.append(b'{"results": [], "next": null}')

    class Handler(BaseHTTPRequestHandler):
        protocol_version, wbufsize = "HTTP/1.1", 64 * 1024

        def do_GET(self) -> None:
            body = bodies[int(self.path.rpartition("=")[2] if "page=" in self.path else 1) - 1]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.put(server.server_address[1])
    server.serve_forever()


def _peer(python: str, script: str, url: str, folder: Path, task: str) -> list[str]:
    return [python, f"{HERE}/peers/{script}", url, f"{folder}/{FILE}"]


def _catchment(url: str, folder: Path, task: str) -> list[str]:
    settings = [f"PYTHONPATH={HERE.parent}", "DBT_TARGET=local", f"WAREHOUSE_DIR={folder}"]
    return ["env", *settings, *_peer(sys.executable, "catchment_pages.py", url, folder, task)]


def _query(**names: str) -> str:
    return FINGERPRINT.format(**names)


LIMIT = Contestant(
    "bare httpx, orjson, Arrow",
    partial(_peer, f"{CACHE}/bare/bin/python", "bare_loop.py"),
    _query(id="id", city="properties.address.city", seats="properties.seats", table="contacts"),
    "bare",
)
CONTESTANTS = [
    LIMIT,
    Contestant(
        "catchment",
        _catchment,
        _query(id="contact_id", city="city", seats="seats", table="raw_bench.contacts"),
    ),
    Contestant(
        "dlt rest_api, default",
        partial(_peer, f"{CACHE}/dlt/bin/python", "dlt_rest_api.py"),
        _query(id="id", city="properties__address__city", seats="properties__seats", table="raw.contacts"),
        "dlt",
    ),
]


def _landed(file: Path, query: str) -> tuple:
    import duckdb  # in a process that ends, not in the harness: a child starts with its parent's peak memory

    return duckdb.connect(str(file), read_only=True).execute(query).fetchone()


def main() -> None:
    """Serves the pages, runs the rounds, prints the medians; the options are in the environment."""
    pages, rounds = int(os.environ.get("PAGES") or 200), int(os.environ.get("ROUNDS") or 3)
    words = (os.environ.get("CONTESTANTS") or "").split(",")
    chosen = [contestant for contestant in CONTESTANTS if any(word in contestant.name for word in words)]
    CACHE.mkdir(exist_ok=True)
    for contestant in chosen:
        contestant.install()
    port: multiprocessing.SimpleQueue = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=(pages, port), daemon=True)
    server.start()
    url, rows = f"http://127.0.0.1:{port.get()}", pages * SIZE
    people = [contact(number) for number in range(rows)]
    truth = (
        rows,
        rows * (rows - 1) // 2,
        sum(len(person["properties"]["address"]["city"]) for person in people),
        sum(person["properties"]["seats"] is not None for person in people),
    )
    figures: dict[Contestant, list[tuple[float, float, float]]] = {contestant: [] for contestant in chosen}
    for number in range(1, rounds + 1):
        for contestant in chosen:
            with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as scratch:
                os.sync()  # so that nothing of the runs before is written during this one
                figures[contestant].append(measure(contestant.call(url, Path(scratch), "full"), Path(scratch)))
                print(
                    f"round {number}: {contestant.name} {figures[contestant][-1][0]:.2f} s", file=sys.stderr, flush=True
                )
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    landed = pool.submit(_landed, Path(scratch) / FILE, contestant.landed).result()
                if landed != truth:
                    sys.exit(f"{contestant.name} landed {landed}, the source has {truth}")
    server.terminate()
    print(f"REST pages to DuckDB, {rows:,} nested objects, {os.cpu_count()} cores, {datetime.date.today()}\n")
    print(f"{'':<28}{'s':>8}{'rows/s':>10}{'x bare':>9}{'CPU s':>8}{'peak MB':>9}")
    for contestant, measured in figures.items():
        wall, cpu, peak = zip(*measured, strict=True)
        seconds, limit = statistics.median(wall), figures.get(LIMIT, measured)
        ratio = statistics.median(mine[0] / bare[0] for mine, bare in zip(measured, limit, strict=True))
        print(
            f"{contestant.label:<28}{seconds:>8.2f}{rows / seconds:>10,.0f}{ratio:>9.2f}"
            f"{statistics.median(cpu):>8.1f}{max(peak):>9.0f}"
        )


if __name__ == "__main__":
    main()
