"""What the workload does to the shape of its tables."""

import re
from collections.abc import Callable
from datetime import timedelta

from psycopg import Cursor

from sandbox.workload_rows import MADE, Rows
from sandbox.workload_tables import Column
from sandbox.workload_values import FIRST_DAY

TYPES = ("integer", "text", "numeric(14,3)", "timestamp with time zone", "jsonb", "character varying(20)", "boolean")
DEFAULTS = ("integer not null default 7", "text default 'it''s'", "numeric(14,3) default -0.5", "boolean default true")
WIDER = {"smallint": "integer", "integer": "bigint", "real": "double precision", "character varying(20)": "text"}
PUBLICATION = "catchment"


class Ddl:
    """Steps that alter, make and drop tables; with `is_audited` each is written to the audit."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._rng, self.is_audited = rows, rows.rng, False

    def _run(self, cursor: Cursor, table: str, statement: str) -> None:
        cursor.execute(statement)
        self._rows.forget(tables=True)
        if self.is_audited:
            if table in self._rows.tables:
                self._rows.tables[table].audit(cursor)
            what = "insert into workload_audit (table_name, kind, row) values (%s, 'ddl', to_jsonb(%s::text))"
            cursor.execute(what, (table, statement))

    def _alter(self, cursor: Cursor, table: str, action: str) -> None:
        self._run(cursor, table, f"alter table {table} {action}")

    def _column(self, is_fit: Callable[[Column], object]) -> Column | None:
        fit = [column for table in self._rows.tables.values() for column in table.columns if is_fit(column)]
        return self._rng.choice(fit) if fit else None

    def _named(self, base: str) -> str:
        return f"{re.sub('_[0-9]+$', '', base)}_{next(self._rows.numbers) - 10**9}"

    def add_column(self, cursor: Cursor) -> None:
        """A nullable column."""
        self._alter(cursor, self._rows.table().name, f"add {self._named('extra')} {self._rng.choice(TYPES)}")

    def add_default(self, cursor: Cursor) -> None:
        """A column that old rows have a value for at once; none of them is in the log."""
        self._alter(cursor, self._rows.table().name, f"add {self._named('extra')} {self._rng.choice(DEFAULTS)}")

    def add_generated(self, cursor: Cursor) -> None:
        """A generated column; PostgreSQL refuses it where old rows are logged as a whole."""
        table = self._rows.table(lambda table: table.key and not table.has_full_identity)
        expression = f"integer generated always as (length({table.key[0].name}::text)) stored"
        self._alter(cursor, table.name, f"add {self._named('extra')} {expression}")

    def replace_column(self, cursor: Cursor) -> None:
        """Another column of the same name."""
        if column := self._column(lambda column: _is_numbered(column) and column.is_plain):
            self._alter(cursor, column.table, f"drop {column.name}, add {column.name} {self._rng.choice(TYPES)}")

    def drop_column(self, cursor: Cursor) -> None:
        """A column that it added or renamed, unless few are left."""
        some = {table.name for table in self._rows.tables.values() if len(table.columns) > 3}
        if column := self._column(lambda one: _is_numbered(one) and one.can_go and one.table in some):
            self._alter(cursor, column.table, f"drop {column.name}")

    def rename_column(self, cursor: Cursor) -> None:
        """Any column, also of a key."""
        column = self._column(lambda column: True)
        self._alter(cursor, column.table, f"rename {column.name} to {self._named(column.name)}")

    def widen(self, cursor: Cursor) -> None:
        """A type that holds more; also of a key, and then of the columns that refer to it, too."""
        if column := self._column(lambda column: _wider(column) and self._is_free(column)):
            for one in self._with_referring(column):
                self._alter(cursor, one.table, f"alter {one.name} type {_wider(column)}")

    def _with_referring(self, column: Column) -> list[Column]:
        others = [other for table in self._rows.tables.values() for other in table.columns]
        return [*(other for other in others if column.is_key and other.parent == column.table), column]

    def _is_free(self, column: Column) -> bool:
        """Whether no generated column is made of it (they are made of the key) or of what refers to it."""
        keys = [self._rows.tables[one.table] for one in self._with_referring(column) if one.is_key]
        return not any(other.is_generated for table in keys for other in table.columns)

    def to_text(self, cursor: Cursor) -> None:
        """Numbers become texts."""
        numbers = ("smallint", "integer", "bigint")
        if column := self._column(lambda column: column.is_plain and column.declared in numbers):
            self._alter(cursor, column.table, f"alter {column.name} type text")

    def create_table(self, cursor: Cursor) -> None:
        """A table, published before its first row or when it has some."""
        name = self._named("promotions")
        columns = "promotion_id serial primary key, title varchar(20), discount numeric(12, 2), starts_on date"
        self._run(cursor, name, f"create table {name} ({columns})")
        self._rows.insert(cursor, self._rows.tables[name], self._rng.choice((1, 20)))
        self._run(cursor, name, f"alter publication {PUBLICATION} add table {name}")

    def drop_table(self, cursor: Cursor) -> None:
        """A table that it made."""
        if made := [name for name in self._rows.tables if re.match(MADE, name)]:
            name = self._rng.choice(made)
            self._run(cursor, name, f"drop table {name}")

    def attach_partition(self, cursor: Cursor) -> None:
        """Another day for the events."""
        number = self._rows.tables["events_by_day"].partition_count
        day, name = FIRST_DAY + timedelta(days=number), f"events_by_day_{number}"
        cursor.execute(f"create table {name} (like events_by_day including all)")
        bounds = f"from ('{day}') to ('{day + timedelta(days=1)}')"
        self._alter(cursor, "events_by_day", f"attach partition {name} for values {bounds}")


def _is_numbered(column: Column) -> bool:
    return re.search(r"_\d+$", column.name) is not None


def _wider(column: Column) -> str | None:
    """The next wider type, if there is one."""
    if column.is_generated:
        return None
    if numeric := re.fullmatch(r"numeric\((\d+),(\d+)\)", column.declared):
        precision, scale = map(int, numeric.groups())
        return f"numeric({precision + 2},{scale + 2})" if precision <= 36 else None
    return WIDER.get(column.declared)
