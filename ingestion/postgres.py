"""PostgreSQL: its catalog, its types and its dialect (https://www.postgresql.org/docs/18/).

A table with a key needs no cursor: every row tells the transaction that wrote it (xmin), and a snapshot which
transactions it does not see as done. Rows of those and later ones are what is new, whatever clocks say.
"""

import dataclasses
import re
from datetime import UTC, datetime
from typing import Any

import duckdb

from ingestion.contract import literal, quote
from ingestion.sql import TRANSACTION, Column, Engine, Table

# Types that DuckDB's scanner hands over without loss: how they arrive, how they land.
_EXACT = {
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "smallint": ("SMALLINT", "BIGINT"),
    "integer": ("INTEGER", "BIGINT"),
    "bigint": ("BIGINT", "BIGINT"),
    "oid": ("UINTEGER", "BIGINT"),
    "real": ("FLOAT", "FLOAT"),
    "double precision": ("DOUBLE", "DOUBLE"),
    "text": ("VARCHAR", "VARCHAR"),
    "character varying": ("VARCHAR", "VARCHAR"),
    "character": ("VARCHAR", "VARCHAR"),
    "json": ("VARCHAR", "VARCHAR"),
    "jsonb": ("VARCHAR", "VARCHAR"),
    "uuid": ("UUID", "UUID"),
    "bytea": ("BLOB", "BLOB"),
    "date": ("DATE", "DATE"),
    "time without time zone": ("TIME", "VARCHAR"),
    "timestamp without time zone": ("TIMESTAMP", "TIMESTAMP"),
    "timestamp with time zone": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
}

# Types that are text to us, as PostgreSQL writes them.
_TEXTS = {
    *("interval", "time with time zone", "bit", "bit varying", "xml", "tsvector", "tsquery", "inet", "cidr", "macaddr"),
    *("macaddr8", "point", "line", "lseg", "box", "path", "polygon", "circle", "name", '"char"', "pg_lsn"),
    *(
        "xid",
        "xid8",
        "citext",
        "hstore",
        "ltree",
        "geometry",
        "geography",
        "jsonpath",
        "regclass",
        "tid",
        "txid_snapshot",
    ),
}

# DuckDB's times end in the year 294247, PostgreSQL's 29 years later; dlt loads none after 2^53 ms exactly.
_FIRST_TOO_LATE = "287396-01-01"
_TOO_LATE = f"{{}} >= '{_FIRST_TOO_LATE}' and {{}} < 'infinity'"

# In DuckDB, what the scanner makes of them: a time long before PostgreSQL's first, or infinity; and 0.
_MAY_BE_LATE = "{} not between '4714-11-24 (BC) 00:00:00' and '287395-12-31 23:59:59.999999'"
_MAY_BE_NAN = "try_cast({} as double) = 0"


class Postgres(Engine):
    """A PostgreSQL database."""

    name = "postgres"
    title = "PostgreSQL"
    default_schema = "public"
    final = "ERROR: (?!canceling)"
    # What is read as text must not depend on settings of the role or the database.
    session = """
        set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local timezone = 'UTC';
        set local bytea_output = 'hex'; set local extra_float_digits = 3
    """

    def attach(self, db: duckdb.DuckDBPyConnection) -> None:
        """By the URL as libpq has it, in an encoding that all databases can be read in."""
        url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", self.credentials)
        if "://" in url:
            url += ("&" if "?" in url else "?") + "client_encoding=UTF8"
        db.execute(f"attach {literal(url)} as source (type postgres, read_only)")

    def table(self, table: Table) -> str:
        """Without the rows of tables that inherit from it: those are tables of their own."""
        return ("only " if table.is_plain else "") + super().table(table)

    def catalog(self, schemas: list[str]) -> list[Table]:
        """Tables, partitioned ones as one, views, materialized views and foreign tables; not those of extensions."""
        chosen = f"in ({', '.join(map(literal, schemas))})" if schemas else r"!~ '^(pg_|information_schema$)'"
        may_ask = "select has_function_privilege('pg_control_system()', 'execute') as may_ask"
        database = _SERVER if self.rows(may_ask)[0][0] else _NAME
        tables: dict[str, dict] = {}
        for row in self.rows(_COLUMNS.format(schemas=chosen, database=database)):
            identity, schema, name, kind, is_parent, comment, may_use, may_read, role, is_filtered, *column = row
            table = tables.setdefault(
                identity,
                {
                    "schema": schema,
                    "name": name,
                    "identity": identity,
                    "comment": comment or "",
                    "is_view": kind in "vm",
                    "is_plain": kind == "r",
                    "is_parent": is_parent,
                    "columns": [],
                    "may_follow": kind in "rp",
                },
            )
            full_name = f'"{schema}"."{name}"'
            if not may_use:
                table["problem"] = (
                    f'role {role} may not use schema "{schema}": grant usage on schema "{schema}" to {role}'
                )
            elif not may_read:
                table["problem"] = f"role {role} may not read {full_name}: grant select on {full_name} to {role}"
            if is_filtered:
                table["note"] = f"row-level security decides which rows role {role} sees"
            table["columns"].append(_column(*column))
        keys: dict[str, tuple[str, ...]] = {}
        for identity, names in self.rows(_KEYS.format(database=database)):
            keys.setdefault(identity, tuple(names))
        logged = {
            identity: tuple(names) for identity, names in self.rows(_REPLICA_IDENTITIES.format(database=database))
        }
        forms = dict(self.rows(_FORMS.format(database=database)))
        partitions: dict[str, dict[str, str]] = {}
        for identity, partition, form in self.rows(_PARTITIONS.format(database=database)):
            partitions.setdefault(identity, {})[partition] = form
        references: dict[str, list[tuple[str, str, str, str]]] = {}
        for identity, *reference in self.rows(_REFERENCES.format(database=database)):
            references.setdefault(identity, []).append(tuple(reference))
        found = []
        names = [(values["schema"], values["name"].lower()) for values in tables.values()]
        for identity, values in tables.items():
            key = keys.get(identity, ())
            # DuckDB's scanner ignores the case of names, and reads the rows of those that inherit.
            if values.pop("is_parent") or names.count((values["schema"], values["name"].lower())) > 1:
                values["columns"] = [dataclasses.replace(column, is_scanned=False) for column in values["columns"]]
            may_follow = values.pop("may_follow") and key
            found.append(
                Table(
                    **{**values, "columns": tuple(values["columns"])},
                    key=key,
                    cursor=TRANSACTION if may_follow else None,
                    references=tuple(references.get(identity, ())),
                    replica_identity=logged.get(identity, ()),
                    form=forms.get(identity, ""),
                    partitions=partitions.get(identity, {}),
                )
            )
        return found

    def begin_in(self, snapshot: str | None) -> None:
        """From now on reads in a snapshot that another connection has exported and holds open, or in one of its own."""
        self.close()
        imported = f"set transaction snapshot {literal(snapshot)}; " if snapshot else ""
        self.session = imported + type(self).session

    def printed(self, column: Column, text: str) -> str:
        """DuckDB's SQL for a value, of which `text` is SQL for what PostgreSQL prints; null where the column's type
        can't hold it."""
        text = column.printed.replace("{}", text)
        if column.arrives == "VARCHAR":
            return text
        if column.arrives == "BLOB":
            return f"unhex({text}[3:])"
        if column.arrives.startswith(("DATE", "TIMESTAMP")):
            text = f"regexp_replace({text}, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')"
        elif match := re.fullmatch(r"(.*INT.*|DECIMAL\(\d+,(\d+)\))", column.arrives):  # which casts would round
            text = f"case when regexp_full_match({text}, '-?\\d+(\\.\\d{{0,{match[2] or 0}}}0*)?') then {text} end"
        value = f"try_cast({text} as {column.arrives})"
        if column.arrives.startswith("TIMESTAMP"):
            return f"case when {value} < '{_FIRST_TOO_LATE}' or {value} = 'infinity' then {value} end"
        return value

    def newest(self, table: Table, cursor: Column) -> str | None:
        """See `Engine.newest`."""
        name = self.quote(cursor.name)
        sensible = "" if cursor.type == "BIGINT" else f"where {name} between '0001-01-02' and '9999-12-30'"
        return self.rows(f"select max({name})::text as newest from {self.table(table)} {sensible}")[0][0]

    def before_snapshot(self, db: duckdb.DuckDBPyConnection) -> None:
        """Reads the counters of all tables: a change between them and the snapshot then counts as one to come."""
        self._counters = {oid: counters for oid, *counters in db.execute(f"from {self.query(_COUNTERS)}").fetchall()}

    def counters(self, table: Table) -> list[Any] | None:
        """From version 15 on, whose statistics are sure to arrive, within ten seconds; a standby has none of its own.

        The epoch is what empties the counters (a start after a crash, a reset) or bypasses them (TRUNCATE).
        """
        return self._counters.get(int(table.identity.partition("/")[2]))

    def number(self, cursor: Column) -> str:
        """See `Engine.number`."""
        name = self.quote(cursor.name)
        if cursor.type == "BIGINT":
            return f"coalesce({name}::bigint, 0)"
        return f"case when isfinite({name}) then (date_part('epoch', {name}) * 1000000)::bigint else 0 end"

    def comparable(self, column: Column) -> str:
        """What has no literal of its own, an array for one, by the text that it is read as."""
        return (column.reads if column.type == "VARCHAR" else "{}").format(self.quote(column.name))

    def key_literal(self, column: Column, text: str) -> str:
        """As text, which PostgreSQL takes for whatever the column is."""
        return super().key_literal(column, text) if column.type == "BLOB" else self.literal(text)

    def moment(self, cursor: Column, moment: datetime) -> str:
        """With its offset, so that it means the same in every session; a column without time zone ignores that."""
        return literal(moment.astimezone(UTC).isoformat())

    def oldest_write(self) -> datetime | None:
        """Of the transactions that the role may see: all need pg_read_all_stats, its own nothing."""
        rows = self.rows_beside("""
            select least(
                (select min(xact_start) from pg_stat_activity where backend_xid is not null),
                (select min(prepared) from pg_prepared_xacts)
            ) as oldest
        """)
        return rows[0][0] if rows else None

    def transaction(self) -> int:
        """The oldest one that was running when the snapshot was taken, or the next to come."""
        return self.rows("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as transaction")[0][0]

    def written_since(self, transaction: int) -> str | None:
        """By age, which knows that the numbers of rows' transactions wrap around after 2^32."""
        if not 0 <= self.transaction() - transaction < 2**31 - 1_000_000:
            return None
        return f"age(xmin) <= age('{transaction % 2**32}'::xid)"

    def hash_of(self, columns: list[Column]) -> tuple[str, str]:
        """See `Engine.hash_of`."""
        digest = f"md5(concat_ws(chr(31), {', '.join(f'{self.quote(c.name)}::text' for c in columns)}))"
        return f"('x' || substr({digest}, 1, 3))::bit(12)::int", f"('x' || substr({digest}, 4, 8))::bit(32)::bigint"

    def blob(self, value: bytes) -> str:
        """In hex format."""
        return f"'\\x{value.hex()}'"

    def unfit(self, columns: dict[str, Column]) -> str:
        """See `Engine.unfit`."""
        found = {
            alias: (column.unfit.replace("{}", self.quote(column.name)), self.quote(column.name))
            for alias, column in columns.items()
        }
        members = (  # JSON has its own form of times, whatever the server's DateStyle is
            f"case when {condition} then jsonb_build_object({literal(alias)}, {name}) else '{{}}' end"
            for alias, (condition, name) in found.items()
        )
        conditions = " or ".join(f"({condition})" for condition, _ in found.values())
        return f"case when {conditions} then ({' || '.join(members)})::text end"

    def scan(self, table: Table, columns: dict[str, Column]) -> str | None:
        """Through the scanner's own reading of tables, which is parallel, where each column allows it."""
        if not table.is_plain or any(not c.is_scanned or alias != c.name for alias, c in columns.items()):
            return None
        return f"source.{super().table(table)}"

    def has_lost(self, table: Table, columns: dict[str, Column], rows: str) -> bool:
        """Asks PostgreSQL, but only of columns in which there is what such values are scanned as."""
        if not columns:
            return False
        doubtful = ", ".join(
            f"bool_or({(_MAY_BE_LATE if 'TIME' in column.type else _MAY_BE_NAN).replace('{}', quote(name))})"
            for name, column in columns.items()
        )
        with self._errors():
            ((*doubts,),) = self._snapshot().execute(f"select {doubtful} {rows}").fetchall()
        conditions = [
            f"({column.unfit.replace('{}', self.quote(column.name))})"
            for column, is_doubtful in zip(columns.values(), doubts, strict=True)
            if is_doubtful
        ]
        if not conditions:
            return False
        return self.rows(f"select bool_or({' or '.join(conditions)}) as has_lost from {self.table(table)}")[0][0]


def _column(
    name, declared, kind, category, base, base_arguments, is_built_in, is_not_null, is_generated, comment
) -> Column:
    """The column's mapping: `kind` and `category` are pg_type's typtype and typcategory, `base` is what a domain is.

    Users may name a type of their own like one that `is_built_in`.
    """
    common = {
        **{"name": name, "declared": declared, "is_nullable": not is_not_null, "comment": comment or ""},
        **{"is_generated": is_generated, "printed": "" if base in ("money", "inet") or kind == "c" else "{}"},
    }
    reads = f"{{}}::{base}{base_arguments if base == 'numeric' else ''}" if kind == "d" else "{}"
    if is_built_in and base == "character":  # DuckDB's scanner leaves out the blanks at the end, as the cast does
        common["printed"], reads = "rtrim({}, ' ')", "{}::text"
    if category == "A":
        return Column(**{**common, "printed": ""}, type="VARCHAR", reads="to_json({})::text")
    if is_built_in and base in _EXACT:
        arrives, lands = _EXACT[base]
        unfit = _TOO_LATE if base.startswith("timestamp") else ""
        return Column(**common, type=lands, arrives=arrives, reads=reads, unfit=unfit, is_scanned=kind == "b")
    if is_built_in and base == "numeric":
        precision, scale = map(int, re.findall(r"-?\d+", base_arguments)) if base_arguments else (0, 0)
        if 0 < precision <= 38 and 0 <= scale <= precision:
            decimal = f"DECIMAL({precision},{scale})"
            unfit = "{} = 'NaN'"
            return Column(**common, type=decimal, arrives=decimal, reads=reads, unfit=unfit, is_scanned=kind == "b")
        note = f"{name} is {declared}, wider than any decimal of ours: it lands as text, so that no digit is lost"
        return Column(**common, type="VARCHAR", reads="{}::text", note=note)
    if is_built_in and base == "money":
        return Column(**common, type="DECIMAL(22,4)", reads="{}::numeric::text")
    is_known = base in _TEXTS or kind in "erm"
    note = "" if is_known else f"{name} is of the type {declared}, which has no mapping: it lands as text"
    return Column(**common, type="VARCHAR", reads="to_json({})::text" if kind == "c" else "{}::text", note=note)


# Of partitions as of the table that they are of.
_COUNTERS = """
    select coalesce(pg_partition_root(c.oid)::oid, c.oid)::bigint as oid,
        concat_ws(' ', pg_postmaster_start_time(), max(d.stats_reset),
            string_agg(pg_relation_filenode(c.oid)::text, ',' order by c.oid)) as epoch,
        sum(s.n_tup_ins)::bigint as inserted, sum(s.n_tup_upd)::bigint as updated, sum(s.n_tup_del)::bigint as deleted
    from pg_class c join pg_stat_user_tables s on s.relid = c.oid
    left join pg_stat_database d on d.datname = current_database()
    where current_setting('server_version_num')::int >= 150000 and current_setting('track_counts')::bool
        and not pg_is_in_recovery()
    group by 1
"""

# Which database it is, wherever it has been moved to: of its server, and where a role may not ask that, its name.
_SERVER = "(select system_identifier::text from pg_control_system())"
_NAME = "current_database()::text"

_COLUMNS = r"""
    select {database} || '/' || c.oid as identity, n.nspname, c.relname, c.relkind::text as relkind, c.relhassubclass,
        obj_description(c.oid, 'pg_class') as table_comment,
        has_schema_privilege(n.oid, 'usage') as may_use,
        has_table_privilege(c.oid, 'select') as may_read, current_user::text as role,
        case when c.relkind in ('r', 'p') then row_security_active(c.oid) else false end as is_filtered,
        a.attname, format_type(a.atttypid, a.atttypmod) as declared, t.typtype::text as typtype,
        coalesce(b.typcategory, t.typcategory)::text as typcategory,
        regexp_replace(format_type(coalesce(b.oid, t.oid), null), '^.*\.', '') as base,
        coalesce(substring(format_type(
            coalesce(b.oid, t.oid), case when b.oid is null then a.atttypmod else t.typtypmod end
        ) from '\([-0-9, ]+\)'), '') as base_arguments,
        coalesce(b.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace as is_built_in,
        a.attnotnull, a.attgenerated <> '' as is_generated, col_description(c.oid, a.attnum) as comment
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_type b on b.oid = t.typbasetype
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and n.nspname {schemas}
        and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    order by n.nspname, c.relname, a.attnum
"""

# Of every table the primary key, or else the unique columns, none of them null, that are fewest.
_KEYS = """
    select {database} || '/' || i.indrelid as identity, array_agg(a.attname::text order by k.position) as names
    from pg_index i
    cross join unnest(i.indkey) with ordinality as k (number, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
    where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
        and k.position <= i.indnkeyatts
    group by i.indexrelid, i.indrelid, i.indisprimary
    having bool_and(a.attnotnull)
    order by i.indisprimary desc, count(*), i.indexrelid
"""

# Of every table that has a log the columns that it has of a row's old version.
_REPLICA_IDENTITIES = """
    select {database} || '/' || c.oid as identity, array_agg(a.attname::text order by a.attnum) as names
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relpersistence = 'p' and (c.relreplident = 'f' or exists (
        select from pg_index i where i.indrelid = c.oid and a.attnum = any (i.indkey)
            and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident end
    ))
    group by c.oid
"""

# Of every table its file, which is another one when all rows were written anew, and its columns and their types as it
# has them: one that was dropped and made again has another number, and values of an enum may be renamed.
_FORMS = """
    select {database} || '/' || c.oid as identity, md5(concat_ws(' ', pg_relation_filenode(c.oid),
        string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod,
            (select string_agg(e.enumlabel, ' ' order by e.oid) from pg_enum e where e.enumtypid = a.atttypid)
        ), ',' order by a.attnum))) as form
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p')
    group by c.oid
"""

_PARTITIONS = """
    select {database} || '/' || pg_partition_root(c.oid)::oid as identity, c.oid::text as partition,
        coalesce(pg_relation_filenode(c.oid)::text, '') as form
    from pg_class c where c.relispartition and c.relkind in ('r', 'f')
"""

_REFERENCES = """
    select {database} || '/' || f.conrelid as identity, a.attname, n.nspname, c.relname, b.attname as referred
    from pg_constraint f
    join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
    join pg_class c on c.oid = f.confrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute b on b.attrelid = f.confrelid and b.attnum = f.confkey[1]
    where f.contype = 'f' and f.convalidated and cardinality(f.conkey) = 1 and f.conparentid = 0
    order by f.conrelid, a.attnum
"""
