"""The databases that the tests stand on: readable by the configured role, not writable, apart from each other."""

import subprocess
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from databases.conftest import TIME_ZONE


def _as_reader(database, statement: str) -> str:
    """What the mariadb client prints for the configured role."""
    url = urlsplit(database.url)
    run = subprocess.run(
        [
            *("mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"),
            *(f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}"),
            *(f"--password={unquote(url.password)}", f"--execute={statement}", url.path[1:]),
        ],
        capture_output=True,
        text=True,
    )
    return (run.stdout or run.stderr).strip()


def test_mariadb_reader_reads_only(mysql_database):
    mysql_database.execute(
        "create table `t;1` (id int, name text); insert into `t;1` values (1, 'Zoë; \U0001f600'), (2, null)"
    )
    assert mysql_database.execute("select name, id from `t;1` order by id") == [("Zoë; \U0001f600", "1"), (None, "2")]
    assert _as_reader(mysql_database, "select count(*), @@time_zone from `t;1`") == f"2\t{TIME_ZONE}"
    assert "denied" in _as_reader(mysql_database, "delete from `t;1`")


def test_postgres_reader_reads_only(postgres_database):
    postgres_database.execute("create schema sales; create table sales.t (id int); insert into sales.t values (1)")
    with psycopg.connect(postgres_database.url, autocommit=True) as connection:
        assert connection.execute("select * from sales.t").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from sales.t")


def test_sqlite_statements(sqlite_database):
    sqlite_database.execute("create table t (name text); insert into t values ('a;b'), ('c')")
    assert sqlite_database.execute("select name from t where name <> ?", "c") == [("a;b",)]


@pytest.mark.parametrize("time", [1, 2])
def test_databases_are_apart(any_database, time):
    any_database.execute("create table t (id int)")
