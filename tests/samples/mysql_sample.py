"""A database of MySQL or MariaDB of the samples: as postgres_sample.py, by the client `mariadb`."""

import contextlib
import os
import re
import subprocess
from decimal import Decimal
from urllib.parse import unquote, urlsplit

from measuring import Column, Dialect, Measures, Table, measures, share

MYSQL = Dialect(
    text="convert({} using utf8mb4)",
    characters="char_length({})",
    bytes="octet_length({})",
    digest="cast(conv(left(md5({}), 8), 16, 10) as unsigned)",
    micros="timestampdiff(microsecond, '1970-01-01', {})",
    days="datediff({}, '1970-01-01')",
    finite="cast({} as double)",
    number="{}",
    digits="convert({} using utf8mb4)",
    least="hex(min(cast({} as binary)))",
    greatest="hex(max(cast({} as binary)))",
    plus=", ",
)


class MySQL:
    """A database of MySQL or MariaDB, asked by the client `mariadb`."""

    def __init__(self, url: str) -> None:
        """`url` of a role that may make databases."""
        self.url = re.sub(r"^(mysql|mariadb)(\+\w+)?:", "mysql:", url)
        parts = urlsplit(self.url)
        self.name = unquote(parts.path[1:])
        self._address = [f"--host={parts.hostname}", f"--port={parts.port or 3306}", f"--user={parts.username}"]
        self._environment = {**os.environ, "MYSQL_PWD": unquote(parts.password or "")}

    def _run(self, program: str, *arguments: str, stdin: str = "") -> str:
        run = subprocess.run(
            [program, "--no-defaults", "--protocol=tcp", "--default-character-set=utf8mb4", *self._address, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        if run.returncode:
            raise RuntimeError(run.stderr)
        return run.stdout

    def _rows(self, statements: str) -> list[list[str | None]]:
        """Rows of statements in the database, as text."""
        before = "set time_zone = '+00:00', foreign_key_checks = 0, sql_mode = 'no_auto_value_on_zero';"
        out = self._run("mariadb", "--batch", "--skip-column-names", self.name, stdin=f"{before} {statements}")
        rows = [line.split("\t") for line in out.split("\n")[:-1]]
        return [[None if field == "NULL" else field.replace("\\\\", "\\") for field in row] for row in rows]

    def copy(self) -> "MySQL":
        """A copy of the database, on the same server."""
        name = f"{self.name}_copy"
        for database in (name, f"{name}_held"):
            self._rows(f"drop database if exists {_ticked(database)}; create database {_ticked(database)}")
        copied = MySQL(urlsplit(self.url)._replace(path=f"/{name}").geturl())
        copied._run("mariadb", name, stdin=self._run("mariadb-dump", "--hex-blob", self.name))
        return copied

    def drop(self) -> None:
        """Removes the (copied) database."""
        self._rows(f"drop database {_ticked(self.name)}; drop database {_ticked(self.name + '_held')}")

    def tables(self) -> list[Table]:
        """Its tables."""
        keys: dict[str, list[str]] = {}
        unique: dict[str, set[str]] = {}
        for name, index, column in self._rows("""
            select table_name, index_name, column_name from information_schema.statistics
            where table_schema = database() and non_unique = 0 order by table_name, index_name, seq_in_index
        """):
            unique.setdefault(name, set()).add(column)
            if index == "PRIMARY":
                keys.setdefault(name, []).append(column)
        found: dict[str, list[Column]] = {}
        for name, column, kind, declared, precision, extra in self._rows("""
            select c.table_name, c.column_name, c.data_type, c.column_type, c.numeric_precision, c.extra
            from information_schema.columns as c join information_schema.tables as t using (table_schema, table_name)
            where t.table_schema = database() and t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED')
            order by c.table_name, c.ordinal_position
        """):
            is_generated = "GENERATED" in extra and "DEFAULT_GENERATED" not in extra
            kind = _mysql_kind(kind, precision)
            found.setdefault(name, []).append(Column(column, declared, *kind, is_generated=is_generated))
        return [
            Table(self.name, name, tuple(columns), tuple(keys.get(name, ())), frozenset(unique.get(name, ())))
            for name, columns in found.items()
        ]

    def measure(self, table: Table) -> Measures:
        """What the table's columns add up to."""
        columns = []
        for column in table.columns:
            value = column.reads.format(_ticked(column.name))
            columns.append((column, value, f"count({value})"))
        asked = measures(MYSQL, columns)
        (row,) = self._rows(f"select {', '.join(asked.values())} from {_ticked(table.name)}")
        kinds = {column.name: column.kind for column in table.columns}
        return {
            name: _mysql_value(kinds.get(name.rpartition(": ")[0], ""), name.rpartition(": ")[2], value)
            for name, value in zip(asked, row, strict=True)
        }

    def hold_back(self, table: Table) -> int:
        """Takes some rows out, which `change` puts in again; returns how many."""
        ((count,),) = self._rows(f"select count(*) from {_ticked(table.name)}")
        first = f"order by {self._order(table)} limit {share(int(count))}"
        self._rows(f"""
            create table {_ticked(self.name + "_held")}.{_ticked(table.name)} like {_ticked(table.name)};
            insert into {_ticked(self.name + "_held")}.{_ticked(table.name)} ({self._written(table)})
                select {self._written(table)} from {_ticked(table.name)} {first};
            delete from {_ticked(table.name)} {first};
        """)
        return share(int(count))

    def change(self, table: Table, count: int) -> int:
        """Inserts what was held back, updates and deletes as many; returns how many were updated."""
        name = _ticked(table.name)
        self._rows(f"delete from {name} order by {self._order(table, ' desc')} limit {count}")
        updated = 0
        for column in table.changeable:
            c = _ticked(column.name)
            with contextlib.suppress(RuntimeError):
                ((updated,),) = self._rows(f"""
                    set @high = (select max({c}) from {name}), @low = (select min({c}) from {name});
                    update {name} set {c} = if({c} <=> @high, @low, @high)
                        order by {self._order(table)} limit {count};
                    select row_count();
                """)
            if int(updated):
                break
        self._rows(f"""
            insert into {_ticked(table.name)} ({self._written(table)})
                select {self._written(table)} from {_ticked(self.name + "_held")}.{_ticked(table.name)}
        """)
        return int(updated)

    @staticmethod
    def _written(table: Table) -> str:
        return ", ".join(_ticked(column.name) for column in table.columns if not column.is_generated)

    @staticmethod
    def _order(table: Table, direction: str = "") -> str:
        return ", ".join(
            f"{_ticked(name)}{direction}" for name in table.key or [column.name for column in table.columns]
        )


def _ticked(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _mysql_kind(data_type: str, precision: str | None) -> tuple[str, str]:
    """(kind, SQL that reads it)."""
    if data_type in ("tinyint", "smallint", "mediumint", "int", "bigint", "year"):
        return "int", "({} + 0)"
    if data_type in ("float", "double"):
        return "float", "{}"
    if data_type in ("date", "datetime", "timestamp"):
        return "date" if data_type == "date" else "time", "{}"
    if data_type == "bit":
        return "text", f"lpad(bin({{}} + 0), {precision}, '0')"
    if data_type in ("geometry", "point", "linestring", "polygon") or data_type.startswith(("multi", "geom")):
        return "text", "st_astext({})"
    if data_type.endswith(("blob", "binary")):
        return "blob", "{}"
    return ("decimal", "{}") if data_type == "decimal" and int(precision) <= 38 else ("text", "cast({} as char)")


def _mysql_value(kind: str, measure: str, text: str | None) -> object:
    if text is None:
        return None
    if kind == "text" and measure in ("least", "greatest"):
        return bytes.fromhex(text).decode()
    if kind == "float" and measure in ("least", "greatest", "sum", "weight"):
        return float(text)
    return Decimal(text)
