"""A busy web shop with bad habits, in any PostgreSQL: rows and tables that change in all the ways that change capture
finds hard. What happens follows from the seed and the tables that are there; the catalog says what they look like.

One thread and two connections that never wait for each other, so that the same seed makes the same rows. Several
processes may work on the same tables at once if none has DDL: what loses a race is rolled back, and counted as refused.
"""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import psycopg
from psycopg import Cursor, errors, sql

from sandbox.workload_ddl import PUBLICATION, Ddl
from sandbox.workload_rows import Rows
from sandbox.workload_tables import AUDIT
from sandbox.workload_values import ODD_TEXTS

SCHEMA = (Path(__file__).parent / "workload.sql").read_text()
TABLES = re.findall(r"^create table (\w+)", SCHEMA, re.MULTILINE)
PARTITIONS = 7  # days, to begin with
BIG = 2500  # rows that a big transaction inserts; it updates them all and deletes most
FORGET = 100  # transactions after which the keys are read anew
# What a race with another process ends in.
REFUSED = (errors.IntegrityError, errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)

# How often each occurs in a deck of cards, which is dealt to the last one before it is shuffled again.
SHAPES = {"commit": 900, "roll_back": 50, "savepoint": 50, "overlap": 30, "big": 1}
WRITES = {"insert": 200, "upsert": 80, "update": 120, "update_small": 200, "update_often": 40, "delete": 180}
ODD_WRITES = {"set_null": 30, "rewrite": 30, "reinsert": 30, "change_key": 50, "swap_keys": 15, "chain_keys": 15}
ROWS = WRITES | ODD_WRITES
TRUNCATE = {"truncate": 8}
COLUMNS = ("add_column", "add_default", "add_generated", "replace_column", "drop_column", "rename_column")
DDL = dict.fromkeys((*COLUMNS, "widen", "to_text", "create_table", "drop_table", "attach_partition"), 1)


class Deck:
    """Deals each name as often as `counts` says before any comes again."""

    def __init__(self, rng: Random, counts: dict[str, int]) -> None:
        self._rng, self._all, self._left = rng, list(Counter(counts).elements()), []

    def draw(self) -> str:
        """The next name."""
        self._left = self._left or self._rng.sample(self._all, len(self._all))
        return self._left.pop()


class Workload:
    """The shop's tables in a schema, and what happens to them. `counts`: what it was, by kind, rolled back or not."""

    def __init__(self, conninfo: str, seed: int = 1, schema: str = "public") -> None:
        """`conninfo`: URL or key words, of a role that may create in the schema, and publications in the database."""
        self.schema, self.counts, rng = schema, Counter(), Random(f"workload {seed}")
        self._connection, self._other = self._connect(conninfo), self._connect(conninfo)
        self._rows = Rows(self._connection, rng, TABLES)
        self._ddl = Ddl(self._rows)
        self._has_ddl = True
        self._rng, self._shapes = rng, Deck(rng, SHAPES)
        self._steps, self._undone = (Deck(rng, ROWS | TRUNCATE | DDL) for _ in range(2))
        with self._connection.transaction():
            audit = self._connection.execute("select to_regclass('workload_audit')").fetchone()
        self._ddl.is_audited = audit != (None,)

    def _connect(self, conninfo: str) -> psycopg.Connection:
        connection = psycopg.connect(conninfo, application_name="workload")
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(self.schema)))
        connection.execute("set timezone to 'UTC'; set datestyle to 'ISO'; set lock_timeout to '1s'")
        connection.commit()
        return connection

    def close(self) -> None:
        """Closes its connections."""
        self._connection.close()
        self._other.close()

    @property
    def tables(self) -> list[str]:
        """Names of its tables as they are now; a partition is part of its table."""
        with self._connection.transaction():
            return list(self._rows.tables)

    def create(self, rows: int = 1000) -> None:
        """Makes the tables with `rows` rows each, and the publication `catchment` of those that have a key.

        Partitions are published as their table. Raises psycopg.errors.DuplicateTable where they are.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            for _ in range(PARTITIONS):
                self._ddl.attach_partition(cursor)
            for name in TABLES if rows else ():
                self._rows.insert(cursor, self._rows.tables[name], rows)
            stock = self._rows.tables["stock_levels"]
            stock.insert(cursor, stock.key, [list(ODD_TEXTS)])
            keyed = ", ".join(table.name for table in self._rows.tables.values() if table.key)
            cursor.execute(
                f"create publication {PUBLICATION} for table {keyed} with (publish_via_partition_root = true)"
            )

    def audit(self) -> None:
        """From now on every change of a row is also written to the table `workload_audit`, which is not published.

        Each row of it is an image: what the row with that `key` was like after an `insert` or `update`; null after a
        `delete`. A row that gets another key has two of kind `key change`: null for the old key, the image for the
        new one. A row that moves to another partition is deleted and inserted. `truncate` ends all keys of the table;
        `ddl` has the statement in `row`, as the images before it are of the old shape. What is there already is
        written as `present`.

        `n` counts statements, not commits: across transactions its order is not that of the commits. But a row, or
        its key's place in the index, is locked from the change to the commit, and then the next one sees it. So per
        key the order of n is that of the commits, and a key's images by n are the history that capture has to have.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(AUDIT)
            for table in self._rows.tables.values():
                table.audit(cursor)
                table.audit_present(cursor)
        self._ddl.is_audited = True

    def run(
        self,
        operations: int,
        rate: float | None = None,
        is_over: Callable[[], bool] = lambda: False,
        has_ddl: bool = True,
    ) -> int:
        """Changes rows until at least `operations` are committed, or `is_over`, which is asked between transactions.

        `rate`: operations per second, on average; None: as many as go. Returns how many rows it inserted, updated or
        deleted, without those rolled back, truncated, or changed by cascade. Raises ValueError if there are no tables.
        """
        if not self.tables:
            raise ValueError(f"schema {self.schema} has no tables of the workload: create() makes them")
        begun, done, self._has_ddl = time.monotonic(), 0, has_ddl
        while done < operations and not is_over():
            done += self._transaction()
            while rate and (ahead := begun + done / rate - time.monotonic()) > 0 and not is_over():
                time.sleep(min(ahead, 0.1))
        return done

    def _transaction(self) -> int:
        shape = self._shapes.draw()
        self.counts[shape] += 1
        before = self._rows.state()
        try:
            return getattr(self, f"_{shape}")(self._connection.cursor())
        except REFUSED:
            self._connection.rollback()
            self._other.rollback()
            self._rows.restore(before)
            self._rows.forget(tables=False)
            self.counts["refused"] += 1
            return 0

    # Shapes of a transaction: each returns how many rows it changed

    def _commit(self, cursor: Cursor) -> int:
        done = sum(self._step(cursor, self._steps) for _ in range(self._rng.choice((1, 1, 1, 2, 3, 4))))
        self._connection.commit()
        if self.counts["commit"] % FORGET == 0:
            self._rows.forget(tables=False)
        return done

    def _roll_back(self, cursor: Cursor) -> int:
        before = self._rows.state()
        for _ in range(self._rng.randrange(1, 4)):
            self._step(cursor, self._undone)
        self._connection.rollback()
        self._rows.restore(before)
        return 0

    def _savepoint(self, cursor: Cursor) -> int:
        done = self._step(cursor, self._steps)
        before = self._rows.state()
        cursor.execute("savepoint before")
        self._step(cursor, self._undone)
        cursor.execute("rollback to savepoint before")
        self._rows.restore(before)
        done += self._step(cursor, self._steps)
        self._connection.commit()
        return done

    def _overlap(self, cursor: Cursor) -> int:
        """What begins first commits last, after a change to rows that the other one committed."""
        rows, other = self._rows, self._other.cursor()
        table, size = rows.table(lambda table: table.key), rows.size()
        keys = rows.some(table, 3 * size)
        done = rows.update_small(cursor, table, keys[:size])
        done += rows.update_small(other, table, keys[size:]) + rows.insert(other, table, size)
        self._other.commit()
        done += rows.update_small(cursor, table, keys[size::2])
        self._connection.commit()
        return done

    def _big(self, cursor: Cursor) -> int:
        rows = self._rows
        table = rows.table(lambda table: table.key and not any(column.is_serial for column in table.columns))
        old = set(rows.keys(table))
        done = rows.insert(cursor, table, BIG)
        new = [key for key in rows.keys(table) if key not in old]
        done += rows.update_small(cursor, table, new) + rows.delete(cursor, table, new[BIG // 10 :])
        self._connection.commit()
        return done

    def _step(self, cursor: Cursor, deck: Deck) -> int:
        name = deck.draw()
        while name in DDL and not self._has_ddl:
            name = deck.draw()
        self.counts[name] += 1
        if name in DDL:
            getattr(self._ddl, name)(cursor)
            return 0
        if name == "truncate":
            return self._rows.truncate(cursor)
        table, size = self._rows.table(), self._rows.size()
        keys = self._rows.some(table, size)
        if name == "insert" or not keys:
            return self._rows.insert(cursor, table, size)
        return getattr(self._rows, name)(cursor, table, keys)


def show(conninfo: str, operations: int, rate: float | None, seed: int, has_ddl: bool) -> None:
    """Runs a workload, on tables that it makes if they are missing; says every 10 s how far it is."""
    with closing(Workload(conninfo, seed)) as workload:
        if not workload.tables:
            workload.create()
        done, begun = 0, time.monotonic()
        while done < operations:
            pause = time.monotonic() + 10
            done += workload.run(operations - done, rate, lambda pause=pause: time.monotonic() > pause, has_ddl)
            pace = done / (time.monotonic() - begun)
            print(f"{done:,} of {operations:,} operations, {pace:,.0f} a second", file=sys.stderr, flush=True)
