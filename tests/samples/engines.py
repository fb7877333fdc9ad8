"""Databases asked by their own clients: which tables they have, what each column adds up to, and changes to a copy.

A column is measured by its kind, which follows from the type that the source declares, not from how it landed:
int, decimal, float, bool, date, time, text, blob. `measures` writes the same questions in the SQL of any engine, so
that the answers of the source and of raw can be compared.
"""

import contextlib
import dataclasses
import hashlib
import math
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

CHANGED_ROWS = 50
"""So many rows of a table at most are inserted, updated and deleted each."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a source: `reads` is the engine's SQL for its value, `{}` standing for the column."""

    name: str
    declared: str
    kind: str
    reads: str = "{}"
    is_generated: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a source; `key` may be empty, `unique` names the columns that have to differ between rows."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    is_partitioned: bool = False

    @property
    def changeable(self) -> list[Column]:
        """Columns whose values may be those of another row."""
        kinds = ("text", "int", "decimal", "float", "date", "time")
        return [c for c in self.columns if c.kind in kinds and not c.is_generated and c.name not in self.unique]


SHOWN_CHARACTERS = 200
"""So many of the least and greatest texts are compared; their checksum covers all."""

Measures = dict[str, object]
"""Of one table: (measure, or column and measure) -> int, Decimal, float, str or None."""


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How an engine says what is measured; `{}` stands for a value."""

    text: str
    characters: str
    bytes: str
    digest: str
    """32 bits of the md5 of a text or blob."""
    micros: str
    """Microseconds since 1970 of a time; null where it is infinite or none."""
    days: str
    """Days since 1970 of a date, likewise."""
    finite: str
    """A float, null where it is infinite or no number."""
    number: str
    """A decimal, null where it is no number."""
    digits: str
    """A decimal as text, with a digit before the point."""
    least: str = "min({})"
    greatest: str = "max({})"
    plus: str = " || "
    """Between texts that are one text."""


POSTGRES = Dialect(
    text="{}::text",
    characters="char_length({})",
    bytes="octet_length({})",
    digest="('x' || left(md5({}), 8))::bit(32)::bigint",
    micros="case when isfinite({0}) and {0} < '294247-01-01' then (extract(epoch from {0}) * 1000000)::bigint end",
    days="case when isfinite({0}) then {0} - date '1970-01-01' end",
    finite="case when {0} not in ('NaN', 'Infinity', '-Infinity') then {0}::float8 end",
    number="nullif({}, 'NaN')",
    digits="{}::text",
    least='min({} collate "C")',
    greatest='max({} collate "C")',
)
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
DUCKDB = Dialect(
    text="cast({} as varchar)",
    characters="length({})",
    bytes="strlen({})",
    digest="cast('0x' || md5({})[1:8] as bigint)",
    micros="case when isfinite({0}) then epoch_us({0}) end",
    days="case when isfinite({0}) then date_diff('day', date '1970-01-01', {0}) end",
    finite="case when isfinite({0}) then cast({0} as double) end",
    number="{}",
    digits=r"regexp_replace(cast({} as varchar), '^(-?)\.', '\10.')",
)


def measures(dialect: Dialect, columns: list[tuple[Column, str, str]]) -> dict[str, str]:
    """What to ask of a table, by name: SQL of aggregates. `columns`: (column, its value, and a count of its values)."""
    asked, row = {"rows": "count(*)"}, []
    for column, value, count in columns:
        found = {"count": count}
        if column.kind in ("int", "decimal"):
            number = dialect.number.format(value) if column.kind == "decimal" else value
            found |= {"distinct": f"count(distinct {number})", "sum": f"sum({number})"}
            found |= {"least": f"min({number})", "greatest": f"max({number})"}
            row.append(dialect.digits.format(number))
        elif column.kind == "float":
            number = dialect.finite.format(value)
            found |= {"finite": f"count({number})", "distinct": f"count(distinct {number})"}
            found |= {"least": f"min({number})", "greatest": f"max({number})"}
            found |= {"sum": f"sum({number})", "weight": f"sum(abs({number}))"}
        elif column.kind == "bool":
            found |= {"true": f"count(case when {value} then 1 end)"}
            row.append(f"case when {value} then '1' when not {value} then '0' end")
        elif column.kind in ("date", "time"):
            moment = (dialect.days if column.kind == "date" else dialect.micros).format(value)
            found |= {"finite": f"count({moment})", "distinct": f"count(distinct {moment})", "sum": f"sum({moment})"}
            found |= {"least": f"min({moment})", "greatest": f"max({moment})"}
            row.append(dialect.text.format(f"({moment})"))
        elif column.kind == "text":
            text = dialect.text.format(value)
            start = f"left({text}, {SHOWN_CHARACTERS})"
            found |= {"least": dialect.least.format(start), "greatest": dialect.greatest.format(start)}
            found |= {"characters": f"sum({dialect.characters.format(text)})"}
            found |= {"bytes": f"sum({dialect.bytes.format(text)})", "digest": f"sum({dialect.digest.format(text)})"}
            found |= {"distinct": f"count(distinct {dialect.digest.format(text)})"}
            row.append(text)
        else:
            digest = dialect.digest.format(value)
            length = dialect.bytes if dialect is not DUCKDB else "octet_length({})"
            found |= {"bytes": f"sum({length.format(value)})", "digest": f"sum({digest})"}
            row.append(dialect.text.format(digest))
        asked |= {f"{column.name}: {name}": question for name, question in found.items()}
    if row:
        texts = (f"case when {text} is null then 'null,' else concat('=', {text}, ',') end" for text in row)
        asked["digest of rows"] = f"sum({dialect.digest.format(f'concat({dialect.plus.join(texts)})')})"
    return asked


def differences(source: Measures, raw: Measures) -> list[str]:
    """What raw has that the source has not; sums of floats may differ as their order does."""
    found = []
    for name, theirs in source.items():
        ours = raw.get(name)
        if isinstance(theirs, float) and isinstance(ours, float) and name.endswith(("sum", "weight")):
            weight = abs(source[name.rpartition(":")[0] + ": weight"])
            if math.isclose(theirs, ours, rel_tol=0, abs_tol=1e-12 * weight):
                continue
        if (theirs or 0) != (ours or 0):
            found.append(f"{name} is {_short(theirs)} in the source, {_short(ours)} in raw")
    return found


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) < 80 else f"{text[:77]}..."


class Postgres:
    """A PostgreSQL database, asked by psycopg."""

    def __init__(self, url: str) -> None:
        """`url` of a role that may make databases."""
        self.url = re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", url)
        self.name = unquote(urlsplit(self.url).path[1:])
        self._held: dict[Table, tuple[str, bytes]] = {}

    @contextlib.contextmanager
    def _connected(self, url: str = "") -> Iterator[psycopg.Connection]:
        with psycopg.connect(url or self.url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("set timezone = 'UTC'")
            yield connection

    def copy(self) -> "Postgres":
        """A copy of the database, on the same server."""
        name = f"{self.name}_copy"
        maintenance = urlsplit(self.url)._replace(path="/template1").geturl()
        with self._connected(maintenance) as connection:
            for statement in ("drop database if exists {0} with (force)", "create database {0} template {1}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(self.name)))
        return Postgres(urlsplit(self.url)._replace(path=f"/{name}").geturl())

    def drop(self) -> None:
        """Removes the (copied) database."""
        with self._connected(urlsplit(self.url)._replace(path="/template1").geturl()) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self.name)))

    def tables(self) -> list[Table]:
        """Its tables, partitioned ones as one."""
        with self._connected() as connection:
            rows = connection.execute(_POSTGRES_COLUMNS).fetchall()
        found: dict[tuple[str, str], dict] = {}
        for schema, name, is_partitioned, key, unique, column, declared, base, arguments, *kind, generated in rows:
            table = found.setdefault((schema, name), {"columns": [], "key": tuple(key or ())})
            table |= {"unique": frozenset(unique or ()), "is_partitioned": is_partitioned}
            table["columns"].append(
                Column(column, declared, *_postgres_kind(base, arguments, *kind), is_generated=generated)
            )
        return [
            Table(schema, name, **{**table, "columns": tuple(table["columns"])})
            for (schema, name), table in found.items()
        ]

    def measure(self, table: Table) -> Measures:
        """What the table's columns add up to."""
        columns = []
        for column in table.columns:
            value = f"({column.reads.format(_quoted(column.name))})"
            columns.append((column, value, f"count({value})"))
        asked = measures(POSTGRES, columns)
        with self._connected() as connection:
            row = connection.execute(f"select {', '.join(asked.values())} from {_of(table)}")
            return dict(zip(asked, row.fetchone(), strict=True))

    def hold_back(self, table: Table) -> int:
        """Takes some rows out, which `change` puts in again; returns how many."""
        name, columns = _of(table), self._written(table)
        with self._changing() as connection:
            count = _some(connection.execute(f"select count(*) from {name}").fetchone()[0])
            some = f"select tableoid, ctid from {name} order by {self._order(table)} limit {count}"
            chosen = f"(tableoid, ctid) in ({some})"
            with connection.cursor().copy(f"copy (select {columns} from {name} where {chosen}) to stdout") as copy:
                self._held[table] = (columns, b"".join(copy))
            connection.execute(f"delete from {name} where {chosen}")
        return count

    def change(self, table: Table, count: int) -> int:
        """Inserts what was held back, updates and deletes as many; returns how many were updated."""
        name, (columns, held) = _of(table), self._held[table]
        with self._changing() as connection:
            some = f"select tableoid, ctid from {name} order by {self._order(table)} limit {count}"
            connection.execute(f"delete from {name} where (tableoid, ctid) in ({some})")
            updated = 0
            for column in table.changeable:
                c = _quoted(column.name)
                try:
                    updated = connection.execute(
                        f"update {name} as here set {c} = case when here.{c} = high then low else high end "
                        f"from (select max({c}) as high, min({c}) as low from {name}) as bounds "
                        f"where (here.tableoid, here.ctid) in ({some}) and low is distinct from high"
                    ).rowcount
                except (psycopg.errors.IntegrityError, psycopg.errors.UndefinedFunction):
                    continue
                if updated:
                    break
            with connection.cursor().copy(f"copy {_quoted(table.schema, table.name)} ({columns}) from stdin") as copy:
                copy.write(held)
        return updated

    @contextlib.contextmanager
    def _changing(self) -> Iterator[psycopg.Connection]:
        with self._connected() as connection:
            connection.execute("set session_replication_role = replica")  # no foreign keys, no triggers
            yield connection

    @staticmethod
    def _written(table: Table) -> str:
        return ", ".join(_quoted(column.name) for column in table.columns if not column.is_generated)

    @staticmethod
    def _order(table: Table) -> str:
        columns = table.key or [column.name for column in table.columns]
        return ", ".join(f"{_quoted(column)}::text" for column in columns)


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _of(table: Table) -> str:
    """A table in PostgreSQL; of one that others inherit from its own rows alone, since those are tables too."""
    return ("" if table.is_partitioned else "only ") + _quoted(table.schema, table.name)


def _some(count: int) -> int:
    return min(CHANGED_ROWS, math.ceil(count / 5))


def _postgres_kind(base: str, arguments: str, kind: str, category: str) -> tuple[str, str]:
    """(kind, SQL that reads it)."""
    if category == "A":
        return "text", "to_json({})::text"
    precision, scale = map(int, re.findall(r"-?\d+", arguments)) if base == "numeric" and arguments else (39, 0)
    if base == "numeric" and not (precision <= 38 and 0 <= scale <= precision):
        return "text", "{}::text"
    kinds = {
        **dict.fromkeys(("smallint", "integer", "bigint", "oid"), "int"),
        **dict.fromkeys(("real", "double precision"), "float"),
        **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), "time"),
        **{"numeric": "decimal", "money": "decimal", "boolean": "bool", "bytea": "blob", "date": "date"},
    }
    reads = {"money": "{}::numeric::numeric(22,4)", "oid": "{}::bigint"}
    if base in kinds:
        return kinds[base], reads.get(base, "{}")
    return "text", "to_json({})::text" if kind == "c" else "{}::text"


_POSTGRES_COLUMNS = r"""
    select n.nspname, c.relname, c.relkind = 'p' as is_partitioned,
        (select array_agg(a.attname::text order by k.position)
            from pg_index i cross join unnest(i.indkey) with ordinality as k (number, position)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
            where i.indrelid = c.oid and i.indisprimary) as key,
        (select array_agg(a.attname::text)
            from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
            where i.indrelid = c.oid and i.indisunique) || array(
                select a.attname::text from pg_partitioned_table p
                join pg_attribute a on a.attrelid = c.oid and a.attnum = any (p.partattrs) where p.partrelid = c.oid
            ) as "unique",
        a.attname, format_type(a.atttypid, a.atttypmod) as declared,
        regexp_replace(format_type(coalesce(b.oid, t.oid), null), '^.*\.', '') as base,
        coalesce(substring(format_type(coalesce(b.oid, t.oid), case when b.oid is null then a.atttypmod
            else t.typtypmod end) from '\([-0-9, ]+\)'), '') as arguments,
        coalesce(b.typtype, t.typtype)::text as kind, coalesce(b.typcategory, t.typcategory)::text as category,
        a.attgenerated <> '' as generated
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_type b on b.oid = t.typbasetype
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema$)'
        and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by n.nspname, c.relname, a.attnum
"""


class MySQL:
    """A database of MySQL or MariaDB, asked by the client `mariadb`."""

    def __init__(self, url: str) -> None:
        """`url` of a role that may make databases."""
        self.url, parts = url, urlsplit(url)
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
        first = f"order by {self._order(table)} limit {_some(int(count))}"
        self._rows(f"""
            create table {_ticked(self.name + "_held")}.{_ticked(table.name)} like {_ticked(table.name)};
            insert into {_ticked(self.name + "_held")}.{_ticked(table.name)} ({self._written(table)})
                select {self._written(table)} from {_ticked(table.name)} {first};
            delete from {_ticked(table.name)} {first};
        """)
        return _some(int(count))

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


class SQLite:
    """A SQLite file, asked by Python's sqlite3; its values are added up here, each as its column's type has it."""

    def __init__(self, url: str) -> None:
        """`url` of a file."""
        self.url, self.file = url, Path(unquote(url.partition(":///")[2]))
        self._held: dict[Table, list[tuple]] = {}

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.file)
        connection.text_factory = lambda data: data.decode(errors="replace")
        with contextlib.closing(connection), connection:
            yield connection

    def copy(self) -> "SQLite":
        """A copy of the file, beside it."""
        copied = SQLite(f"sqlite:///{self.file.with_suffix('.copy')}")
        copied.file.unlink(missing_ok=True)
        with self._connected() as source, copied._connected() as target:
            source.backup(target)
        return copied

    def drop(self) -> None:
        """Removes the (copied) file."""
        self.file.unlink()

    def tables(self) -> list[Table]:
        """Its tables, without the virtual ones."""
        found = []
        with self._connected() as connection:
            for (name,) in connection.execute(
                r"select name from pragma_table_list where type = 'table' and name not like 'sqlite\_%' escape '\'"
            ).fetchall():
                columns, key = [], {}
                for _, column, declared, _, _, position, hidden in connection.execute(
                    f"pragma table_xinfo({_quoted(name)})"
                ).fetchall():
                    if hidden != 1:
                        kind = _sqlite_kind(declared)
                        if kind in ("date", "time"):  # which are often numbers there
                            kinds = f"select distinct typeof({_quoted(column)}) from {_quoted(name)}"
                            stored = {row[0] for row in connection.execute(kinds)} - {"null"}
                            kind = {("integer",): "int", ("real",): "float"}.get(tuple(stored), kind)
                        columns.append(Column(column, declared, kind, is_generated=hidden > 1))
                        if position:
                            key[position] = column
                unique = set(key.values())
                for _, index, is_unique, *_ in connection.execute(f"pragma index_list({_quoted(name)})").fetchall():
                    if is_unique:
                        unique |= {row[2] for row in connection.execute(f"pragma index_info({_quoted(index)})")}
                ordered = tuple(column for _, column in sorted(key.items()))
                found.append(Table("main", name, tuple(columns), ordered, frozenset(unique)))
        return found

    def measure(self, table: Table) -> Measures:
        """What the table's columns add up to."""
        names = ", ".join(_quoted(column.name) for column in table.columns)
        with self._connected() as connection:
            rows = connection.execute(f"select {names} from {_quoted(table.name)}").fetchall()
        found: Measures = {"rows": len(rows)}
        texts: list[list[str | None]] = []
        for column, values in zip(table.columns, zip(*rows, strict=True) if rows else [()] * 99, strict=False):
            measured, row = _added_up(column, list(values))
            found |= {f"{column.name}: {name}": value for name, value in measured.items()}
            if row is not None:
                texts.append(row)
        if texts:
            lines = (
                "".join("null," if text is None else f"={text}," for text in row) for row in zip(*texts, strict=True)
            )
            found["digest of rows"] = sum(map(_digest, lines))
        return found

    def hold_back(self, table: Table) -> int:
        """Takes some rows out, which `change` puts in again; returns how many."""
        name, columns = _quoted(table.name), self._written(table)
        with self._connected() as connection:
            count = _some(connection.execute(f"select count(*) from {name}").fetchone()[0])
            first = f"from {name} order by {self._order(table)} limit {count}"
            self._held[table] = connection.execute(f"select {columns} {first}").fetchall()
            self._delete(connection, table, first)
        return count

    def change(self, table: Table, count: int) -> int:
        """Inserts what was held back, updates and deletes as many; returns how many were updated."""
        name, columns, updated = _quoted(table.name), self._written(table), 0
        with self._connected() as connection:
            self._delete(connection, table, f"from {name} order by {self._order(table, ' desc')} limit {count}")
            for column in table.changeable:
                c = _quoted(column.name)
                low, high = connection.execute(f"select min({c}), max({c}) from {name}").fetchone()
                if low == high:
                    continue
                some = f"from {name} order by {self._order(table)} limit {count}"
                with contextlib.suppress(sqlite3.IntegrityError):
                    updated = connection.execute(
                        f"update {name} set {c} = iif({c} is ?, ?, ?) where {self._among(table, some)}",
                        (high, low, high),
                    ).rowcount
                    break
            marks = ", ".join("?" for column in table.columns if not column.is_generated)
            connection.executemany(f"insert into {name} ({columns}) values ({marks})", self._held[table])
        return updated

    def _delete(self, connection: sqlite3.Connection, table: Table, some: str) -> None:
        connection.execute(f"delete from {_quoted(table.name)} where {self._among(table, some)}")

    @staticmethod
    def _among(table: Table, some: str) -> str:
        """By the key, since a table may be without rowid."""
        names = ", ".join(map(_quoted, table.key)) or "rowid"
        return f"({names}) in (select {names} {some})"

    @staticmethod
    def _written(table: Table) -> str:
        return ", ".join(_quoted(column.name) for column in table.columns if not column.is_generated)

    @staticmethod
    def _order(table: Table, direction: str = "") -> str:
        return ", ".join(f"{_quoted(name)}{direction}" for name in table.key) or f"rowid{direction}"


def _sqlite_kind(declared: str) -> str:
    word = declared.upper()
    for parts, kind in (
        (("DATETIME", "TIMESTAMP"), "time"),
        (("DATE",), "date"),
        (("INT",), "int"),
        (("BLOB",), "blob"),
        (("CHAR", "CLOB", "TEXT"), "text"),
        (("BOOL",), "bool"),
    ):
        if any(part in word for part in parts):
            return kind
    if re.search(r"(DECIMAL|NUMERIC)\s*\(", word):
        return "decimal"
    return "float" if any(part in word for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")) else "text"


def _added_up(column: Column, values: list) -> tuple[Measures, list[str | None] | None]:
    """(the measures of a column, its values as they go into the digest of rows)."""
    read: Callable[[object], object] = {
        "int": int,
        "decimal": lambda value: round(Decimal(repr(value)), int([*re.findall(r"\d+", column.declared), 0][1])),
        "float": float,
        "bool": lambda value: str(value).lower() in ("1", "true", "t", "yes"),
        "date": lambda value: (date.fromisoformat(value[:10]) - date(1970, 1, 1)).days,
        "time": _micros,
        "text": _text,
        "blob": lambda value: value if isinstance(value, bytes) else str(value).encode(),
    }[column.kind]
    found = [None if value is None else read(value) for value in values]
    present = [value for value in found if value is not None]
    measured: Measures = {"count": len(present)}
    if column.kind == "bool":
        return {**measured, "true": sum(present)}, [None if v is None else str(int(v)) for v in found]
    if column.kind in ("text", "blob"):
        data = [value.encode() if isinstance(value, str) else value for value in present]
        measured |= {"bytes": sum(map(len, data)), "digest": sum(map(_digest, data))}
        if column.kind == "blob":
            return measured, [None if v is None else str(_digest(v)) for v in found]
        starts = [value[:SHOWN_CHARACTERS] for value in present]
        least, greatest = min(starts, key=str.encode, default=None), max(starts, key=str.encode, default=None)
        measured |= {"least": least, "greatest": greatest, "characters": sum(map(len, present))}
        return {**measured, "distinct": len(set(map(_digest, present)))}, found
    measured |= {"distinct": len(set(present)), "least": min(present, default=None)}
    measured |= {"greatest": max(present, default=None), "sum": sum(present) if present else None}
    if column.kind == "float":
        finite = [value for value in present if math.isfinite(value)]
        return {**measured, "finite": len(finite), "sum": sum(finite), "weight": sum(map(abs, finite))}, None
    if column.kind in ("date", "time"):
        measured["finite"] = len(present)
    return measured, [None if v is None else str(v) for v in found]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    return value if isinstance(value, str) else repr(value)


def _micros(value: str) -> int:
    moment = datetime.fromisoformat(value)
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds


def _digest(value: str | bytes) -> int:
    data = value.encode() if isinstance(value, str) else value
    return int(hashlib.md5(data).hexdigest()[:8], 16)


def opened(url: str) -> Postgres | MySQL | SQLite:
    """The database at a SQLAlchemy URL."""
    if url.startswith("postgres"):
        return Postgres(url)
    return SQLite(url) if url.startswith("sqlite") else MySQL(re.sub(r"^(mysql|mariadb)(\+\w+)?:", "mysql:", url))
