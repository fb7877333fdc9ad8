"""A PostgreSQL database of the samples: its tables, what they add up to, and changes to a copy, all by psycopg."""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import psycopg
from measuring import Column, Dialect, Measures, Table, measures, quoted, share
from psycopg import sql

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
            value = f"({column.reads.format(quoted(column.name))})"
            columns.append((column, value, f"count({value})"))
        asked = measures(POSTGRES, columns)
        with self._connected() as connection:
            row = connection.execute(f"select {', '.join(asked.values())} from {_of(table)}")
            return dict(zip(asked, row.fetchone(), strict=True))

    def hold_back(self, table: Table) -> int:
        """Takes some rows out, which `change` puts in again; returns how many."""
        name, columns = _of(table), self._written(table)
        with self._changing() as connection:
            count = share(connection.execute(f"select count(*) from {name}").fetchone()[0])
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
                c = quoted(column.name)
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
            with connection.cursor().copy(f"copy {quoted(table.schema, table.name)} ({columns}) from stdin") as copy:
                copy.write(held)
        return updated

    @contextlib.contextmanager
    def _changing(self) -> Iterator[psycopg.Connection]:
        with self._connected() as connection:
            connection.execute("set session_replication_role = replica")  # no foreign keys, no triggers
            yield connection

    @staticmethod
    def _written(table: Table) -> str:
        return ", ".join(quoted(column.name) for column in table.columns if not column.is_generated)

    @staticmethod
    def _order(table: Table) -> str:
        columns = table.key or [column.name for column in table.columns]
        return ", ".join(f"{quoted(column)}::text" for column in columns)


def _of(table: Table) -> str:
    """A table in PostgreSQL; of one that others inherit from its own rows alone, since those are tables too."""
    return ("" if table.is_partitioned else "only ") + quoted(table.schema, table.name)


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
