"""What the tests of databases share: a real PostgreSQL, MariaDB and SQLite, and a database per test in each.

`postgres_database`, `mysql_database` and `sqlite_database` are one empty database each, and `any_database` is each of
them in turn. Their `url` is what a user would configure: a role that may only read, with an awkward password. They are
configured as the system `erp` already; `configure` gives them another name or options.
"""

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from conftest import PASSWORD

from sandbox.shop import READER

MYSQL_PASSWORD = PASSWORD + "'\"\\`#?&=+;$ "  # what a URL, SQL and a connection string have to quote
# Not UTC, as most servers are not: a time that is not asked for in UTC is wrong by this.
TIME_ZONE = "+05:30"
# What a test writes need not survive a power cut.
SETTINGS = f"""
    --bind-address=127.0.0.1 --skip-name-resolve --character-set-server=utf8mb4 --default-time-zone={TIME_ZONE}
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-fast-shutdown=2
    --innodb-buffer-pool-size=64M --innodb-log-file-size=16M
""".split()


class MariaDB:
    """A MariaDB in `folder`; over TCP on 127.0.0.1, and for its superuser, root, on a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self._process = folder, 0, None

    def start(self) -> None:
        """Makes the data directory if it is missing, and starts the server; raises RuntimeError with its log's end."""
        common = ["--no-defaults", f"--user={self._user()}", f"--datadir={self.folder / 'data'}"]
        if not (self.folder / "data").exists():
            install = ["mariadb-install-db", *common, "--skip-test-db", "--auth-root-authentication-method=normal"]
            subprocess.run(install, check=True, capture_output=True, timeout=60)
        for _ in range(3):  # the port may be taken in between
            self.port = _free_port()
            address = [f"--port={self.port}", f"--socket={self.folder / 's'}"]
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(["mariadbd", *common, *address, *SETTINGS], stdout=log, stderr=log)
            while self._process.poll() is None:
                try:
                    self.execute("select 1")
                    return
                except RuntimeError:
                    time.sleep(0.05)
        raise RuntimeError(f"MariaDB does not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def _user(self) -> str:
        """Whom MariaDB runs as: us, but for root the package's own user, to whom the installation hands its folders."""
        if os.getuid() == 0:
            with contextlib.suppress(LookupError):  # there is none without the package's service
                shutil.chown(self.folder, "mysql")
                return "mysql"
        return getpass.getuser()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stops the server (SIGKILL: as a power cut would)."""
        self._process.send_signal(how)
        self._process.wait(20)

    def execute(self, statements: str, database: str = "") -> list[tuple[str | None, ...]]:
        """Runs statements as root, each as it is; returns the last one's rows, as text. Raises RuntimeError."""
        client = ["mariadb", "--no-defaults", "--xml", "--default-character-set=utf8mb4"]
        run = subprocess.run(
            [*client, "--user=root", f"--socket={self.folder / 's'}", database],
            input=statements.encode(),
            capture_output=True,
            timeout=120,
        )
        if run.returncode:
            raise RuntimeError(run.stderr.decode(errors="replace").strip())
        results = run.stdout.decode().split('<?xml version="1.0"?>')[1:]
        return [
            tuple(None if field.get(f"{{{_XSI}}}nil") else field.text or "" for field in row)
            for row in (ElementTree.fromstring(results[-1].strip()) if results else ())
        ]


_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class _Database:
    """One test's own database: `url` as its user would configure it, `name` the database's own."""

    engine = name = url = ""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def configure(self, system: str = "erp", **options: object) -> str:
        """Makes this database the system of this name, with these options; returns the name."""
        self._monkeypatch.setenv(f"SOURCES__DATABASES__{system.upper()}__CREDENTIALS", self.url)
        for option, value in options.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self._monkeypatch.setenv(f"SOURCES__DATABASES__{system.upper()}__{option.upper()}", text)
        return system


class PostgresDatabase(_Database):
    """A database in PostgreSQL."""

    engine = "postgres"

    def __init__(self, server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.server, self.name = server, name
        self.url = f"postgresql://{READER}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{name}"

    def connect(self):
        """A superuser's connection, each statement on its own."""
        connection = self.server.connect(self.name)
        connection.autocommit = True
        return connection

    def execute(self, statements: str, *parameters) -> list[tuple]:
        """Runs one statement (or several without parameters) as superuser; returns the rows."""
        with self.connect() as connection:
            cursor = connection.execute(statements, parameters or None)
            return cursor.fetchall() if cursor.description else []


class MySQLDatabase(_Database):
    """A database in MariaDB."""

    engine = "mysql"

    def __init__(self, server: MariaDB, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.server, self.name = server, name
        self.url = f"mysql://{READER}:{quote(MYSQL_PASSWORD, safe='')}@127.0.0.1:{server.port}/{name}"

    def execute(self, statements: str) -> list[tuple[str | None, ...]]:
        """Runs statements as root; returns the last one's rows, as text."""
        return self.server.execute(statements, self.name)


class SQLiteDatabase(_Database):
    """A database file of SQLite."""

    engine = "sqlite"

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.file, self.name = file, file.stem
        self.url = f"sqlite:///{file}"
        self.execute("pragma user_version = 1")  # makes the file

    def connect(self) -> sqlite3.Connection:
        """A connection, each statement on its own."""
        return sqlite3.connect(self.file, isolation_level=None)

    def execute(self, statements: str, *parameters) -> list[tuple]:
        """Runs one statement (or several without parameters); returns the last one's rows."""
        connection = self.connect()
        try:
            *before, last = _statements(statements)
            for statement in before:
                connection.execute(statement)
            return connection.execute(last, parameters).fetchall()
        finally:
            connection.close()


def _statements(text: str) -> list[str]:
    """SQLite runs one at a time; a semicolon ends one if what stands before it is complete (a string, a trigger)."""
    statements, rest = [], ""
    for part in text.split(";"):
        rest += part
        if sqlite3.complete_statement(rest + ";"):
            statements.append(rest)
            rest = ""
        else:
            rest += ";"
    rest = rest.strip().rstrip(";")
    return [statement for statement in [*statements, rest] if statement.strip()]


@pytest.fixture(scope="session")
def mariadb():
    """A real MariaDB with a role that may read every database of a test."""
    if not shutil.which("mariadbd"):
        pytest.skip("mariadbd is missing: apt-get install mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="catchment-mariadb-"))  # short: a socket's path has 107 characters at most
    server = MariaDB(folder)
    server.start()
    password = MYSQL_PASSWORD.replace("\\", "\\\\").replace("'", "''")
    server.execute(f"create user {READER}@'127.0.0.1' identified by '{password}'")
    yield server
    server.stop()
    shutil.rmtree(folder)


def _name(request: pytest.FixtureRequest) -> str:
    return f"erp_{os.getpid()}_{abs(hash(request.node.nodeid))}"


@pytest.fixture
def postgres_database(postgres, monkeypatch, request):
    """An empty database in PostgreSQL, configured as `erp`; the reader may read every table as it is made."""
    database = PostgresDatabase(postgres, _name(request), monkeypatch)
    with postgres.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f"create database {database.name}")
    database.execute(f"""
        alter default privileges grant usage on schemas to {READER};
        alter default privileges grant select on tables to {READER};
    """)
    database.configure()
    yield database
    with postgres.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f"drop database {database.name} with (force)")


@pytest.fixture
def mysql_database(mariadb, monkeypatch, request):
    """An empty database in MariaDB, configured as `erp`."""
    database = MySQLDatabase(mariadb, _name(request), monkeypatch)
    mariadb.execute(f"create database {database.name}; grant select on {database.name}.* to {READER}@'127.0.0.1'")
    database.configure()
    yield database
    mariadb.execute(f"""
        revoke select on {database.name}.* from {READER}@'127.0.0.1';
        drop database {database.name};
    """)


@pytest.fixture
def sqlite_database(tmp_path, monkeypatch):
    """An empty database file, configured as `erp`."""
    database = SQLiteDatabase(tmp_path / "erp.sqlite", monkeypatch)
    database.configure()
    return database


@pytest.fixture(params=["postgres", "mysql", "sqlite"])
def any_database(request):
    """An empty database in each engine in turn, configured as `erp`."""
    return request.getfixturevalue(f"{request.param}_database")
