"""A small Apache Spark cluster on loopback: `python -m sandbox.cluster up`, or `make spark-up`.

A master, two workers of one core each, and the SQL endpoint (Thrift), which writes Iceberg tables into a JDBC catalog
in a PostgreSQL of its own. Each is a process of its own, as on a real cluster. All is in one folder: logs/, work/,
catalog/ (PostgreSQL), tables/ (Iceberg's files) and cluster.json (processes and ports).
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql

from sandbox.shop import Database

FOLDER = Path(os.environ.get("SANDBOX_ROOT", ".sandbox")) / "cluster"
PORT = int(os.environ.get("SPARK_PORT") or 10000)
WORKERS = 2
PATIENCE = 120.0
"""Seconds that a process may take to answer."""
JARS = Path(os.environ.get("SPARK_JARS") or "/usr/share/java")
"""Has postgresql.jar, by which Iceberg's catalog is reached, and icu4j.jar, which macro nfc calls."""
SESSIONS = 500
"""Connections to the catalog: every session of dbt has one, which only the garbage collector closes."""
SETTINGS = {
    # As docs/scale.md asks of any cluster that the models are to run on.
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.defaultCatalog": "lake",
    # Of this one: small, and all on this machine.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.executor.memory": "2g",
    # Most statements here are short, and half of their time went into compiling for long ones.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.sql.catalog.lake.clients": "1",
    "spark.cleaner.periodicGC.interval": "20s",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:sessions;create=true",
    "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
}


class ClusterError(RuntimeError):
    """The cluster can't do what was asked; the message says why and what to do."""


@dataclasses.dataclass
class State:
    """What runs: process ids by name, the port of the SQL endpoint, and the catalog's password."""

    pids: dict[str, int]
    port: int
    password: str


class Cluster:
    """The cluster of a folder. It goes on running when the process that started it ends."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = Path(folder).resolve()
        self.file = self.folder / "cluster.json"
        self.database = Database(self.folder / "catalog")

    @property
    def state(self) -> State | None:
        """What the folder says is running; None if nothing was started."""
        try:
            return State(**json.loads(self.file.read_text()))
        except FileNotFoundError:
            return None

    def up(self, port: int = PORT, tell: Callable[[str], None] = print) -> State:
        """Starts what is down and waits until it answers; raises ClusterError if it can't."""
        if self.is_up():
            return self.state
        self.down()
        _check_machine(port)
        for name in ("logs", "work", "tables"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        state = State({}, port, self._start_catalog())
        tell("catalog: up")
        try:
            self._start_spark(state, tell)
        except BaseException:
            self.down()
            raise
        return state

    def is_up(self) -> bool:
        """Whether every process is there and the SQL endpoint answers."""
        state = self.state
        return bool(
            state and self.database.port and all(map(self._is_ours, state.pids.values())) and _answers(state.port)
        )

    def down(self) -> None:
        """Stops everything that the folder says is running; tables stay."""
        state = self.state
        for pid in reversed(state.pids.values()) if state else ():
            if self._is_ours(pid):
                os.kill(pid, signal.SIGTERM)
                _wait(lambda pid=pid: not self._is_ours(pid), f"process {pid} does not end", 30)
        self.file.unlink(missing_ok=True)
        self.database.stop()

    def reset(self) -> None:
        """Stops it and deletes its folder, tables included."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_catalog(self) -> str:
        """Starts PostgreSQL; returns the password of its one user."""
        self.database.start()
        hba = self.folder / "catalog/pg_hba.conf"
        hba.write_text("local all postgres trust\nhost iceberg iceberg 127.0.0.1/32 scram-sha-256\n")
        password = secrets.token_urlsafe(12)
        with self.database.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute("select pg_reload_conf()")
            if not connection.execute("select 1 from pg_roles where rolname = 'iceberg'").fetchone():
                connection.execute("create role iceberg login")
                connection.execute("create database iceberg owner iceberg")
                connection.execute(f"alter system set max_connections = {SESSIONS}")
            statement = psycopg.sql.SQL("alter role iceberg password {}")
            connection.execute(statement.format(psycopg.sql.Literal(password)))
        self.database.stop()  # the number of connections is read at the start
        self.database.start()
        return password

    def _start_spark(self, state: State, tell: Callable[[str], None]) -> None:
        master, page = free_port(), free_port()
        url = f"spark://127.0.0.1:{master}"
        ports = ["--host", "127.0.0.1", "--port", str(master), "--webui-port", str(page)]
        self._run(state, "master", "spark-class", "org.apache.spark.deploy.master.Master", *ports)
        _wait(lambda: _alive_workers(page) == 0, f"the master does not answer: see {self._log('master')}")
        for number in range(1, WORKERS + 1):
            self.start_worker(state, f"worker{number}", url)
        _wait(lambda: _alive_workers(page) == WORKERS, f"the workers do not come: see {self._log('worker1')}")
        tell(f"master and {WORKERS} workers: up")
        catalog = {
            "spark.sql.catalog.lake.type": "jdbc",
            "spark.sql.catalog.lake.uri": f"jdbc:postgresql://127.0.0.1:{self.database.port}/iceberg",
            "spark.sql.catalog.lake.jdbc.user": "iceberg",
            "spark.sql.catalog.lake.jdbc.password": state.password,
            "spark.sql.catalog.lake.jdbc.schema-version": "V1",
            "spark.sql.catalog.lake.warehouse": f"file://{self.folder}/tables",
            "spark.sql.warehouse.dir": f"file://{self.folder}/work/session",
            "spark.driver.extraClassPath": f"{_iceberg()}:{JARS}/postgresql.jar:{JARS}/icu4j.jar",
            "spark.executor.extraClassPath": f"{_iceberg()}:{JARS}/icu4j.jar",
            "spark.local.dir": str(self.folder / "work"),
            "spark.hadoop.hive.server2.thrift.port": str(state.port),
        }
        # A file and not the command line, which everybody on the machine can read.
        settings = self.folder / "spark.conf"
        settings.touch(mode=0o600)
        settings.write_text("".join(f"{name} {value}\n" for name, value in {**SETTINGS, **catalog}.items()))
        endpoint = ["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"]
        self._run(state, "endpoint", "spark-submit", "--master", url, "--properties-file", str(settings), *endpoint)
        _wait(lambda: _answers(state.port), f"the SQL endpoint does not answer: see {self._log('endpoint')}")
        with session(state.port, "spark_catalog") as spark:  # clients begin with `use default`
            spark.execute("create namespace if not exists lake.default")
        tell(f"SQL endpoint: up, 127.0.0.1:{state.port}")

    def start_worker(self, state: State, name: str, master: str) -> None:
        """Starts one worker of one core, with memory for one executor."""
        size = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "3g"]
        folder = ["--work-dir", str(self.folder / "work" / name)]
        self._run(state, name, "spark-class", "org.apache.spark.deploy.worker.Worker", *size, *folder, master)

    def _run(self, state: State, name: str, program: str, *arguments: str) -> None:
        environment = {
            **os.environ,
            "SPARK_HOME": str(_spark()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_OPTS": "-Dspark.worker.cleanup.enabled=true",
        }
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                [str(_spark() / "bin" / program), *arguments],
                env=environment,
                cwd=self.folder,  # by which _is_ours knows it
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        state.pids[name] = process.pid
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(dataclasses.asdict(state)))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _is_ours(self, pid: int) -> bool:
        """Whether this process lives and is one of the cluster's, not another's that got its number."""
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.folder
        except OSError:
            return False


def _check_machine(port: int) -> None:
    if not shutil.which("java"):
        raise ClusterError("there is no java: Spark needs Java 11 or 17 (Debian: openjdk-17-jre-headless)")
    if not importlib.util.find_spec("pyspark"):
        raise ClusterError("pyspark is not installed: make spark-up installs it")
    for name, package in {"postgresql.jar": "libpostgresql-jdbc-java", "icu4j.jar": "libicu4j-java"}.items():
        if not (JARS / name).exists():
            raise ClusterError(
                f"there is no {name} in {JARS}: install it (Debian: {package}), or name its folder in SPARK_JARS"
            )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ClusterError(f"port {port} is taken: choose another one with SPARK_PORT") from None


def _spark() -> Path:
    return Path(importlib.util.find_spec("pyspark").origin).parent


def _iceberg() -> Path:
    folder = Path(importlib.util.find_spec("snowpark_connect_deps_iceberg").origin).parent / "jars"
    return next(folder.glob("iceberg-spark-runtime-3.5_2.12-*.jar"))


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _alive_workers(page: int) -> int | None:
    """How many workers the master counts; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return json.load(answer)["aliveworkers"]
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def session(port: int, catalog: str = "lake") -> Iterator[Any]:
    """A cursor of the SQL endpoint, with the settings that dbt has, too, in profiles.yml."""
    from pyhive import hive

    settings = {
        "spark.sql.defaultCatalog": catalog,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
    }
    prefixed = {f"set:hiveconf:{name}": value for name, value in settings.items()}
    with hive.connect("127.0.0.1", port, configuration=prefixed) as connection:
        yield connection.cursor()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with session(port, "spark_catalog") as spark:
            spark.execute("select 1")
        return True
    except Exception:  # whatever the client says: not yet
        return False


def _wait(condition: Callable[[], bool], complaint: str, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise ClusterError(f"{complaint} ({patience:.0f} s)")
        time.sleep(0.3)


def main() -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.cluster", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["up", "down", "reset"], help="reset also deletes its tables")
    cluster = Cluster()
    try:
        match parser.parse_args().command:
            case "up":
                state = cluster.up()
                print(f"to use it: export DBT_TARGET=spark SPARK_PORT={state.port}")
            case "down":
                cluster.down()
            case "reset":
                cluster.reset()
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
