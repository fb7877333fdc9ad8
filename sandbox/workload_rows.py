"""What the workload does to rows: steps of its transactions, with what it knows of its tables and their keys."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

from psycopg import Connection, Cursor

from sandbox.workload_tables import Column, Keys, Table, Values, by_column, read_tables
from sandbox.workload_values import FIRST_DAY, ODD_TEXTS, value

SIZES = (1, 1, 1, 1, 2, 3, 5, 8, 20, 50)  # rows of a step
# How often a table is chosen; the others: 1.
BUSY = {"stock_levels": 4, **dict.fromkeys(("orders", "customers", "events_by_day", "carts", "cart_items"), 2)}
MADE = r"^promotions_\d+$"  # tables that are made on the way


class Rows:
    """Tables and keys as they are known. A step returns how many rows it changed.

    A key that is known may be gone, which does no harm; what others insert and serial keys are known when read anew.
    """

    def __init__(self, connection: Connection, rng: Random, names: list[str]) -> None:
        self.connection, self.rng, self._names = connection, rng, names
        self._tables: dict[str, Table] = {}  # empty: to be read
        self._keys: dict[str, Keys] = {}  # by table, where they were read; the lists never change
        self.numbers = self._fresh_numbers()

    # What is known

    @property
    def tables(self) -> dict[str, Table]:
        """The tables as they are now, for the transaction of `connection`."""
        self._tables = self._tables or read_tables(self.connection.cursor(), self._names, MADE)
        return self._tables

    def forget(self, *, tables: bool) -> None:
        """Keys are to be read anew; the shape of tables, too, if so."""
        self._keys = {}
        self._tables = {} if tables else self._tables

    def state(self) -> tuple:
        """What to give to `restore` after a rollback to here."""
        return self._tables, dict(self._keys)

    def restore(self, state: tuple) -> None:
        """Knows what it knew then."""
        self._tables, self._keys = state

    def keys(self, table: Table) -> Keys:
        """The keys of a table."""
        if table.name not in self._keys:
            self._keys[table.name] = table.keys(self.connection.cursor())
        return self._keys[table.name]

    def _know(self, table: Table, new: Keys, gone: Keys = ()) -> None:
        without = set(gone)
        known = [key for key in self.keys(table) if key not in without]
        self._keys[table.name] = list(dict.fromkeys([*known, *new]))
        if gone:  # by cascade, others may be gone as well
            for other in self.tables.values():
                if any(column.parent == table.name for column in other.columns):
                    self._keys.pop(other.name, None)

    # What to choose from

    def size(self) -> int:
        """How many rows a step has."""
        return self.rng.choice(SIZES)

    def table(self, is_fit: Callable[[Table], object] = lambda table: True) -> Table:
        """One of the tables, rather a busy one; not one whose rows need one of a table that is empty."""
        tables = [table for table in self.tables.values() if is_fit(table)]
        [table] = self.rng.choices(tables, [BUSY.get(table.name, 1) for table in tables])
        needed = [self.tables[column.parent] for column in table.columns if column.parent and not column.is_nullable]
        return next((parent for parent in needed if not self.keys(parent)), table)

    def some(self, table: Table, count: int) -> Keys:
        """Keys of up to `count` rows."""
        keys = self.keys(table) if table.key else []
        return self.rng.sample(keys, min(len(keys), count))

    def _fresh_numbers(self) -> Iterator[int]:
        while True:  # a rollback does not take them back
            start = self.connection.execute("select nextval('workload_numbers')").fetchone()[0]
            yield from range(start, start + 1000)

    def _values(self, column: Column, count: int) -> Values:
        """For a column; those of a unique one never were before."""
        if column.parent:
            parents = [key for (key,) in self.keys(self.tables[column.parent])]
            return self.rng.choices(parents or [None], k=count)
        if column.is_unique:
            return [self._unique(column) for _ in range(count)]
        return [value(self.rng, column) for _ in range(count)]

    def _unique(self, column: Column) -> str:
        if column.declared == "date":  # it chooses the partition; another column of the key is unique by itself
            return str(FIRST_DAY + timedelta(days=self.rng.randrange(self.tables[column.table].partition_count)))
        number = next(self.numbers)
        if column.declared == "text":
            return f"{self.rng.choice(ODD_TEXTS)}{number}"
        return str(number * 4096 if column.declared == "bigint" else number)

    def _fresh_keys(self, table: Table, count: int) -> Keys:
        return list(zip(*(self._values(column, count) for column in table.key), strict=True))

    # Steps

    def insert(self, cursor: Cursor, table: Table, count: int) -> int:
        """New rows, now and then without columns that need not be given."""
        columns = [column for column in table.columns if not column.is_generated]
        given = [
            column
            for column in columns
            if not column.is_serial and (column.is_unique or not column.is_optional or self.rng.random() < 0.95)
        ]
        return self._put(cursor, table, given or columns, {}, count)

    def upsert(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Half of the keys are there, half are new; odd texts may be either."""
        keys = keys[::2] + self._fresh_keys(table, len(keys[1::2]))
        if [column.declared for column in table.key] == ["text"]:
            keys = list(dict.fromkeys(keys + [(text,) for text in self.rng.sample(ODD_TEXTS, 3)]))
        return self._put_keys(cursor, table, keys, is_upsert=True)

    def reinsert(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Deletes rows; others come with their keys."""
        return self.delete(cursor, table, keys) + self._put_keys(cursor, table, keys)

    def _put_keys(self, cursor: Cursor, table: Table, keys: Keys, is_upsert: bool = False) -> int:
        given = dict(zip((column.name for column in table.key), by_column(keys), strict=True))
        columns = [column for column in table.columns if not column.is_generated]
        return self._put(cursor, table, columns, given, len(keys), is_upsert)

    def _put(
        self,
        cursor: Cursor,
        table: Table,
        columns: list[Column],
        given: dict[str, Values],
        count: int,
        is_upsert: bool = False,
    ) -> int:
        by_name = {column.name: given.get(column.name) or self._values(column, count) for column in columns}
        new = table.insert(cursor, columns, list(by_name.values()), is_upsert)
        if table.key:
            self._know(table, new)
        return len(new)

    def update(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """All columns but the unique ones."""
        return self._set(cursor, table, table.settable, keys)

    def update_small(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Some columns, none that is stored out of line."""
        count = min(len(table.small), self.rng.randrange(1, 4))
        return self._set(cursor, table, self.rng.sample(table.small, count), keys)

    def update_often(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """The same rows again and again."""
        return sum(self.update_small(cursor, table, keys) for _ in range(self.rng.randrange(2, 5)))

    def _set(self, cursor: Cursor, table: Table, columns: list[Column], keys: Keys) -> int:
        values = [self._values(column, len(keys)) for column in columns]
        return table.update(cursor, columns, values, keys) if keys and columns else 0

    def set_null(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Some columns to null."""
        columns = [column for column in table.settable if column.is_nullable and self.rng.random() < 0.5]
        return table.update(cursor, columns, [[None] * len(keys)] * len(columns), keys) if columns else 0

    def rewrite(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """All columns to what they are."""
        return table.rewrite(cursor, table.settable, keys) if table.settable else 0

    def delete(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Rows go."""
        self._know(table, [], gone=keys)
        return table.delete(cursor, keys)

    def change_key(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """Some columns of the key, or what else is unique."""
        unique = [column for column in table.columns if column.is_unique]
        columns = self.rng.sample(unique, self.rng.randrange(1, len(unique) + 1))
        values = [self._values(column, len(keys)) for column in columns]
        by_name = dict(zip((column.name for column in table.key), by_column(keys), strict=True))
        by_name |= dict(zip((column.name for column in columns), values, strict=True))
        self._know(table, list(zip(*(by_name[column.name] for column in table.key), strict=True)), gone=keys)
        return table.update(cursor, columns, values, keys)

    def chain_keys(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """From one key to a second, and on to a third."""
        done = 0
        for _ in range(2):
            old, keys = keys, self._fresh_keys(table, len(keys))
            self._know(table, keys, gone=old)
            done += table.update(cursor, table.key, by_column(keys), old)
        return done

    def swap_keys(self, cursor: Cursor, table: Table, keys: Keys) -> int:
        """The first row takes the last one's key and the other way round, by way of a third."""
        [third] = self._fresh_keys(table, 1)
        moves = ((keys[0], third), (keys[-1], keys[0]), (third, keys[-1]))
        return sum(table.update(cursor, table.key, by_column([new]), [old]) for old, new in moves)

    def truncate(self, cursor: Cursor) -> int:
        """The carts, and by cascade what is in them; with other tables in the same statement; or the events."""
        made = [name for name in self.tables if re.match(MADE, name)]
        several = (["carts", "search_terms"], ["price_lists", "carts", *made])
        names = self.rng.choice((["carts"], ["carts"], *several, ["carts"], ["carts"], ["events_by_day"]))
        cursor.execute(f"truncate {', '.join(names)} {self.rng.choice(('restart', 'continue'))} identity cascade")
        self.forget(tables=False)
        return 0
