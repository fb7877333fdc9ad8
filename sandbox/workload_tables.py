"""The workload's tables as the catalog has them, statements for many rows at once, and the audit of changes."""

from itertools import groupby
from typing import NamedTuple

from psycopg import Cursor

Keys = list[tuple[str, ...]]
Values = list[str | None]


class Column(NamedTuple):
    """A column; `parent` is the table that its foreign key refers to."""

    table: str
    name: str
    declared: str
    is_key: bool
    is_unique: bool
    is_nullable: bool
    has_default: bool
    is_generated: bool
    is_serial: bool
    is_large: bool
    parent: str | None
    labels: list[str]

    @property
    def is_optional(self) -> bool:
        """Whether an insert may leave it out."""
        return self.is_nullable or self.has_default

    @property
    def is_plain(self) -> bool:
        """Whether nothing depends on it, nor it on anything, so that it may change its type or go."""
        return self.can_go and not self.is_generated

    @property
    def can_go(self) -> bool:
        """Whether nothing depends on it."""
        return not (self.is_unique or self.parent or self.is_large)


class Table(NamedTuple):
    """A table, and statements for rows of it. All values are text, and cast to what the catalog says."""

    name: str
    columns: list[Column]
    has_full_identity: bool
    partition_count: int

    @property
    def key(self) -> list[Column]:
        """Columns of the primary key; none if it has none."""
        return [column for column in self.columns if column.is_key]

    @property
    def settable(self) -> list[Column]:
        """Columns that an update may set without a thought of what is unique."""
        return [column for column in self.columns if not (column.is_unique or column.is_generated)]

    @property
    def small(self) -> list[Column]:
        """Settable columns that are not stored out of line."""
        return [column for column in self.settable if not column.is_large]

    def keys(self, cursor: Cursor) -> Keys:
        """The keys of all its rows."""
        names = ", ".join(column.name for column in self.key)
        return cursor.execute(f"select {self._key_texts} from {self.name} order by {names}").fetchall()

    @property
    def _key_texts(self) -> str:
        return ", ".join(f"{self.name}.{column.name}::text" for column in self.key) or "null"

    def insert(self, cursor: Cursor, columns: list[Column], values: list[Values], is_upsert: bool = False) -> Keys:
        """Inserts rows, given column by column, or as an upsert updates those whose key is there; returns the keys."""
        names = ", ".join(column.name for column in columns)
        statement = f"insert into {self.name} ({names}) select {_casts(columns)} from {_rows(columns)}"
        if is_upsert:
            updates = ", ".join(f"{column.name} = excluded.{column.name}" for column in columns if not column.is_key)
            key = ", ".join(column.name for column in self.key)
            statement += f" on conflict ({key}) do " + (f"update set {updates}" if updates else "nothing")
        return cursor.execute(f"{statement} returning {self._key_texts}", values).fetchall()

    def update(self, cursor: Cursor, columns: list[Column], values: list[Values], keys: Keys) -> int:
        """Sets columns of the rows with these keys, each row to values of its own."""
        sets = ", ".join(f"{column.name} = new.c{n}::{column.declared}" for n, column in enumerate(columns))
        where = self._where("new", len(columns))
        statement = f"update {self.name} as old set {sets} from {_rows(columns + self.key)} where {where}"
        return cursor.execute(statement, [*values, *by_column(keys)]).rowcount

    def rewrite(self, cursor: Cursor, columns: list[Column], keys: Keys) -> int:
        """Sets columns to what they are."""
        sets = ", ".join(f"{column.name} = old.{column.name}" for column in columns)
        statement = f"update {self.name} as old set {sets} from {_rows(self.key)} where {self._where('new')}"
        return cursor.execute(statement, by_column(keys)).rowcount

    def delete(self, cursor: Cursor, keys: Keys) -> int:
        """Deletes the rows with these keys."""
        statement = f"delete from {self.name} as old using {_rows(self.key)} where {self._where('new')}"
        return cursor.execute(statement, by_column(keys)).rowcount

    def _where(self, new: str, start: int = 0) -> str:
        pairs = enumerate(self.key, start)
        return " and ".join(f"old.{column.name} = {new}.c{n}::{column.declared}" for n, column in pairs)

    def audit(self, cursor: Cursor) -> None:
        """Makes the triggers that write its changes to the audit; again after a column was renamed."""
        arguments = ", ".join(f"'{name}'" for name in (self.name, *(column.name for column in self.key)))
        for when, level in (("insert or update or delete", "row"), ("truncate", "statement")):
            cursor.execute(
                f"create or replace trigger workload_audit_{level} after {when} on {self.name} "
                f"for each {level} execute function workload_audited({arguments})"
            )

    def audit_present(self, cursor: Cursor) -> None:
        """Writes the rows that are there already to the audit."""
        pairs = ", ".join(f"'{column.name}', to_jsonb(here) -> '{column.name}'" for column in self.key)
        cursor.execute(
            "insert into workload_audit (table_name, kind, key, row) "
            f"select '{self.name}', 'present', jsonb_build_object({pairs}), to_jsonb(here) from {self.name} as here"
        )


def _rows(columns: list[Column]) -> str:
    """SQL for rows that come as an array of texts per column."""
    return f"unnest({', '.join(['%s::text[]'] * len(columns))}) as new ({', '.join(_names(columns))})"


def _names(columns: list[Column]) -> list[str]:
    return [f"c{number}" for number in range(len(columns))]


def _casts(columns: list[Column]) -> str:
    return ", ".join(f"{name}::{column.declared}" for name, column in zip(_names(columns), columns, strict=True))


def by_column(keys: Keys) -> list[Values]:
    """Keys as a list of values per column."""
    return [list(values) for values in zip(*keys, strict=True)]


def read_tables(cursor: Cursor, names: list[str], pattern: str) -> dict[str, Table]:
    """Those of the current schema that are in `names` or match `pattern`, as they are now."""
    columns = [Column(*row) for row in cursor.execute(_CATALOG, [names, pattern])]
    by_table = {name: list(of_it) for name, of_it in groupby(columns, lambda column: column.table)}
    facts = {name: tuple(others) for name, *others in cursor.execute(_FACTS, [list(by_table)])}
    return {name: Table(name, of_it, *facts[name]) for name, of_it in by_table.items()}


# Where the workload's sequence is missing, tables of these names are another's: they stay as they are.
_CATALOG = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnum = any (p.indkey) is true as is_key,
        exists (
            select from pg_index u where u.indrelid = c.oid and u.indisunique and a.attnum = any (u.indkey)
        ) as is_unique,
        not a.attnotnull, a.atthasdef, a.attgenerated <> '',
        pg_get_serial_sequence(quote_ident(c.relname), a.attname) is not null as is_serial,
        a.attstorage = 'e' as is_large,
        (
            select confrelid::regclass::text from pg_constraint
            where conrelid = c.oid and contype = 'f' and conkey = array[a.attnum]
        ) as parent,
        array(select enumlabel::text from pg_enum where enumtypid = a.atttypid order by enumsortorder) as labels
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index p on p.indrelid = c.oid and p.indisprimary
    where c.relnamespace = quote_ident(current_schema())::regnamespace
        and c.relkind in ('r', 'p') and not c.relispartition
        and (c.relname = any (%s) or c.relname ~ %s) and to_regclass('workload_numbers') is not null
    order by c.relname, a.attnum
"""

_FACTS = """
    select relname, relreplident = 'f', (select count(*) from pg_inherits where inhparent = c.oid)
    from pg_class c
    where relnamespace = quote_ident(current_schema())::regnamespace and relname = any (%s)
"""

# Rows that move between partitions are deleted in one and inserted in the other, for triggers as for the log.
AUDIT = """
    create table workload_audit (
        n bigserial primary key,
        txid xid8 not null default pg_current_xact_id(),
        at timestamptz not null default clock_timestamp(),
        table_name text not null,
        kind text not null,
        key jsonb,
        row jsonb
    );

    create function workload_audited() returns trigger language plpgsql set search_path from current as $$
    declare
        before jsonb := case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) end;
        after jsonb := case when tg_op in ('INSERT', 'UPDATE') then to_jsonb(new) end;
        old_key jsonb;
        new_key jsonb;
    begin
        if tg_op = 'TRUNCATE' then
            insert into workload_audit (table_name, kind) values (tg_argv[0], 'truncate');
            return null;
        end if;
        select jsonb_object_agg(name, before -> name), jsonb_object_agg(name, after -> name) into old_key, new_key
            from unnest(tg_argv[1:]) as name;
        if tg_op = 'UPDATE' and old_key <> new_key then
            insert into workload_audit (table_name, kind, key, row) values
                (tg_argv[0], 'key change', old_key, null), (tg_argv[0], 'key change', new_key, after);
        else
            insert into workload_audit (table_name, kind, key, row) values
                (tg_argv[0], lower(tg_op), case tg_op when 'DELETE' then old_key else new_key end, after);
        end if;
        return null;
    end $$;
"""
