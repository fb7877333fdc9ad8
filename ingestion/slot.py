"""A replication slot of PostgreSQL as a live source (https://www.postgresql.org/docs/18/protocol-replication.html).

The server keeps its log for the slot until we have confirmed it. `slot.json` beside the spool remembers what we have
confirmed, and is written first: a slot that is further than that was read by somebody else, or moved. Then, and when
it was removed or has lost its log, another epoch begins, in which every table is read as a whole once more.
"""

import contextlib
import json
import re
import select
import struct
import time
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import psycopg
from psycopg.pq import ExecStatus

from ingestion import contract as contracts
from ingestion.contract import literal
from ingestion.errors import Disconnected, SourceError, scrub
from ingestion.pgoutput import PREFIX, Decoder, commit_of, version_of
from ingestion.spool import Spool, write_whole

MEMORY = "slot.json"
OLDEST_VERSION = 14
"""Of PostgreSQL: the first that sends messages of ours back to us."""
LONGEST_WAIT = 300.0
"""Seconds that the server may take for a command; to begin, it waits for all transactions that have written."""
AT_ONCE = 5_000
"""Changes that are taken from the connection before they are kept."""
BYTES_AT_ONCE = 16 * 2**20
CONFIRM_AFTER = 1.0
"""Seconds after which the server is told again how far we are."""
HEARTBEAT = 30.0
"""Seconds without anything after which we write to the log ourselves: what only other databases write would pile up,
and a connection that is dead is found out."""
PATIENCE = 10.0
"""Seconds for which another reader of the slot may still be there."""
DEAD_AFTER = 300.0
"""Seconds in which something has to come while we wait for what we wrote."""

# What values are written as must not depend on settings of the role or the database.
SESSION = """
    set datestyle = 'ISO'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set bytea_output = 'hex';
    set extra_float_digits = 3; set idle_session_timeout = 0; set statement_timeout = 0; set synchronous_commit = local
"""


class Snapshot(NamedTuple):
    """Of the database: its name, the version that is later than all it sees and earlier than all it does not, and when
    it was made."""

    name: str
    version: str
    made_at: datetime


class Slot:
    """The slot `name` with the tables of `publication`, of the database at `url`; see `live.Source`."""

    def __init__(self, url: str, where: str, name: str, publication: str, spool: Spool) -> None:
        self.url, self.where, self.name, self.publication, self.spool = url, where, name, publication, spool
        self._sql: psycopg.Connection | None = None
        self._stream: psycopg.Connection | None = None
        self._export: psycopg.Connection | None = None
        self._decoder = Decoder("")
        self._marker = ""
        self._confirmed = self._kept = self._sent = 0
        self._confirmed_at = self._heard_at = self._asked_at = 0.0

    @property
    def memory(self) -> dict[str, Any]:
        """What `slot.json` has: slot, system and publication (which they are), epoch, because (why it began), confirmed
        (an LSN; None while the epoch begins). Empty before the first time."""
        try:
            return json.loads((self.spool.folder / MEMORY).read_text())
        except FileNotFoundError:
            return {}

    def connect(self) -> list[str]:
        """Makes the slot if there is none, and begins to stream; returns what a person should know. Raises SourceError
        if the slot is not ours, else Disconnected."""
        self._stream = self._open(replication="database")
        memory, health = self.memory, self._health()
        system, notes = self._command(self._stream, "IDENTIFY_SYSTEM")[0], []
        system["publication"] = self._publication()
        if because := self._begins_anew(memory, health, system):
            notes = [f"{because}: every table is read as a whole once more"] if memory else [because]
            memory = self._begin(memory, health, system, because)
        elif health and health["warning"]:
            notes = [health["warning"]]
        self._confirmed = self._kept = memory["confirmed"]
        self._sent = 0
        self._decoder = Decoder(memory["epoch"])
        self._start(max(self._confirmed, self._last_commit(memory["epoch"]) + 1))
        self._confirmed_at = self._heard_at = time.monotonic()
        self._ask()
        return notes

    def has_all(self, quiet: float) -> bool:
        """Whether all has come that was committed before we connected."""
        return self._decoder.heard == self._marker

    def is_between(self) -> bool:
        """Whether a transaction has come, and no part of another one."""
        return self._decoder.position > 0 and not self._decoder.in_transaction

    def receive(self, seconds: float) -> list[tuple]:
        """What comes within so many seconds, at most some thousand changes; raises Disconnected. What goes on coming is
        taken together, since to keep it costs as much for one change as for thousands."""
        pgconn, records, size, until = self._stream.pgconn, [], 0, time.monotonic() + seconds
        try:
            while len(records) < AT_ONCE and size < BYTES_AT_ONCE:
                length, data = pgconn.get_copy_data(1)
                if length > 0:
                    size += length
                    records += self._take(bytes(data))
                elif length < 0:
                    result = pgconn.get_result()
                    raise self._failed(result.error_message.decode(errors="replace") if result else "it left")
                else:
                    left = 0 if records else until - time.monotonic()
                    if time.monotonic() > until or not select.select([pgconn.socket], [], [], left)[0]:
                        break
                    pgconn.consume_input()
        except (psycopg.Error, OSError) as error:
            raise self._failed(str(error)) from error
        if not records:
            self._rest()
        return records

    def record(self, item: tuple) -> tuple:
        """What comes is a record of the spool already."""
        return item

    def acknowledge(self, items: list[tuple]) -> None:
        """Tells the server, now or within a second, that all that has come is kept."""
        # Of a transaction of which a part has come nothing may be confirmed.
        sent = 0 if self._decoder.in_transaction else self._sent
        self._kept = max(self._kept, self._decoder.position, sent)
        self._confirm()

    def close(self) -> None:
        """Tells the server how far we are, and disconnects."""
        if self._stream is not None and self._decoder.epoch:
            with contextlib.suppress(Disconnected):
                self._confirm(is_now=True)
        for connection in (self._stream, self._sql, self._export):
            if connection is not None:
                connection.close()
        self._stream = self._sql = self._export = None

    def snapshot(self) -> Snapshot:
        """A snapshot of the database between two transactions of its log; it lasts until `close`."""
        self._export = self._open(replication="database")
        name = f"catchment_{uuid.uuid4().hex}"  # the server removes it when we disconnect
        command = f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')"
        answer = self._command(self._export, command)[0]
        version = version_of(self.memory["epoch"], _number(answer["consistent_point"]), 0)
        return Snapshot(answer["snapshot_name"], version, datetime.now(UTC))

    def health(self) -> str:
        """How the slot is, for a person; raises as `connect` does."""
        health = self._health()
        if health is None:
            return f"the first run makes the replication slot {self.name}"
        return health["warning"] or f"{health['held']} of the log are kept for the replication slot {self.name}"

    def is_read(self) -> bool:
        """Whether some process streams from it."""
        return self.query("select to_json(active) from pg_replication_slots where slot_name = %s", self.name) == [True]

    def query(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The one column of a query, which is JSON; raises Disconnected."""
        self._sql = self._sql or self._open()
        try:
            return [row for (row,) in self._sql.execute(query, parameters).fetchall()]
        except psycopg.Error as error:
            raise self._failed(str(error)) from error

    def _open(self, **options: Any) -> psycopg.Connection:
        try:
            connection = psycopg.connect(
                re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", self.url),
                **{"autocommit": True, "connect_timeout": 10, "client_encoding": "UTF8", **options},
            )
            if connection.info.server_version < OLDEST_VERSION * 10_000:
                raise SourceError(f"{self.where}: change capture needs PostgreSQL {OLDEST_VERSION} or newer")
            for setting in SESSION.split(";"):
                connection.execute(setting)
            return connection
        except psycopg.Error as error:
            hint = ". Let it: alter role ... replication" if re.search("WAL sender|walsender", str(error)) else ""
            raise Disconnected(f"can't connect to {self.where}: {_in_short(str(error))}{hint}") from error

    def _health(self) -> dict[str, Any] | None:
        """The slot as the server knows it; None if there is none. Raises SourceError if it is of another kind."""
        rows = self.query(_HEALTH, self.name)
        if not rows:
            return None
        health = rows[0]
        if not health["is_ours"]:
            raise SourceError(
                f"the replication slot {self.name} of {self.where} is none of pgoutput in this database: give another "
                "name with the option slot"
            )
        if health["confirmed"] is None:
            raise Disconnected(
                f"{self.where}: the replication slot {self.name} is being made, for a process that may be gone: "
                "it waits for transactions that have written and are still open (see pg_stat_activity)"
            )
        health["warning"] = ""
        if health["wal_status"] not in ("reserved", "lost"):
            room = f", and may drop it after {health['room']} more" if health["room"] else ""
            health["warning"] = (
                f"{self.where} keeps {health['held']} of its log for the slot {self.name}{room}: run or collect more "
                "often, or raise max_slot_wal_keep_size"
            )
        return health

    def _begins_anew(self, memory: dict[str, Any], health: dict[str, Any] | None, system: dict[str, str]) -> str:
        """Why what comes from now on does not continue what we have; empty if it does. Raises SourceError if the slot
        may be somebody else's."""
        if health and (not memory or memory["slot"] != self.name):
            raise SourceError(
                f"{self.where} has a replication slot {self.name}, of which {self.spool.folder} knows nothing. If "
                "another warehouse reads it, give this one a slot of its own with the option slot. If nobody does: "
                f"select pg_drop_replication_slot('{self.name}')"
            )
        if not memory:
            return f"{self.where} keeps from now on what changes, for the replication slot {self.name}"
        if memory["confirmed"] is None:
            return memory["because"]  # a process died on its way here
        if memory["slot"] != self.name:
            return (
                f"the replication slot is {self.name} now. If {memory['slot']} is not needed any more: "
                f"select pg_drop_replication_slot('{memory['slot']}')"
            )
        if memory["system"] != _history(system):
            return f"{self.where} is another server than before, or one from a backup"
        if memory["publication"] != system["publication"]:
            return f"the publication {self.publication} was made anew"
        if health is None:
            return f"the replication slot {self.name} was removed"
        if health["wal_status"] == "lost":
            return f"the replication slot {self.name} has lost its log, which grew beyond max_slot_wal_keep_size"
        if _number(system["xlogpos"]) < memory["confirmed"]:
            return f"{self.where} is from a backup: its log ends before what we have of it"
        if _number(health["confirmed"]) > memory["confirmed"]:
            return f"the replication slot {self.name} was moved on by somebody else"
        return ""

    def _begin(
        self, memory: dict[str, Any], health: dict[str, Any] | None, system: dict[str, str], because: str
    ) -> dict[str, Any]:
        """Begins an epoch, with a slot that the server may have already; returns what is remembered from now on."""
        number = max(time.time_ns() // 1000, int(memory.get("epoch", 0)) + 1)
        epoch, system, publication = f"{number:016}", _history(system), system["publication"]
        # Before version 18 a slot can't pass changes that were made while there was no publication.
        is_stuck = bool(memory) and memory["publication"] != publication
        memory = {"slot": self.name, "system": system, "epoch": epoch, "because": because, "confirmed": None}
        memory["publication"] = publication
        self._remember({**memory, "publication": ""} if is_stuck else memory)
        if health and (is_stuck or health["wal_status"] == "lost"):
            self.query("select to_json(pg_drop_replication_slot(%s)::text)", self.name)
            health = None
        memory["confirmed"] = _number(health["confirmed"] if health else self._create())
        self._remember(memory)
        return memory

    def _publication(self) -> str:
        """The oid of the publication; raises SourceError if there is none, without which no log is worth keeping."""
        found = self.query("select to_json(oid::text) from pg_publication where pubname = %s", self.publication)
        if not found:
            raise SourceError(
                f"there is no publication {self.publication} in {self.where}; `check` says how to make one"
            )
        return found[0]

    def _create(self) -> str:
        """Makes the slot; returns the LSN from which on it has all."""
        command = f"CREATE_REPLICATION_SLOT {self.name} LOGICAL pgoutput (SNAPSHOT 'nothing')"
        return self._command(self._stream, command)[0]["consistent_point"]

    def _remember(self, memory: dict[str, Any]) -> None:
        """Writes `slot.json`, to the disk."""
        write_whole(self.spool.folder / MEMORY, json.dumps(memory))

    def _last_commit(self, epoch: str) -> int:
        """The LSN of the newest commit in the spool."""
        with contracts.engine() as db:
            while files := self.spool.files():
                listed = ", ".join(literal(str(file)) for file in files)
                newest = (
                    f"select max(version) from read_parquet([{listed}]) where kind = 'commit' and version >= '{epoch}'"
                )
                try:
                    ((version,),) = db.execute(newest).fetchall()
                except duckdb.IOException:  # a run has just removed files
                    if files == self.spool.files():
                        raise
                else:
                    return commit_of(version) if version else 0
        return 0

    def _start(self, lsn: int) -> None:
        """Begins to stream. For some seconds the server may think that a process of ours which died is still there."""
        names = '"' + self.publication.replace('"', '""') + '"'
        options = f"proto_version '1', publication_names {literal(names)}, messages 'true'"
        command = f"START_REPLICATION SLOT {self.name} LOGICAL {lsn >> 32:X}/{lsn & 0xFFFFFFFF:X} ({options})"
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self._command(self._stream, command)
                return
            except Disconnected as error:
                if "is active for PID" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _command(self, connection: psycopg.Connection, command: str) -> list[dict[str, str]]:
        """What a command of the replication protocol answers; raises Disconnected."""
        pgconn, until = connection.pgconn, time.monotonic() + LONGEST_WAIT
        pgconn.send_query(command.encode())
        rows: list[dict[str, str]] = []
        problem = ""
        while True:
            while pgconn.flush() or pgconn.is_busy():
                if (left := until - time.monotonic()) <= 0:
                    pgconn.get_cancel().cancel()
                    raise self._failed(
                        f"it did not answer {command.split(' ')[0]} in {LONGEST_WAIT:.0f} seconds: it waits for "
                        "transactions that have written and are still open (see pg_stat_activity)"
                    )
                select.select([pgconn.socket], [], [], min(left, 1.0))
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # only now the connection is ready for another command
                if problem:
                    raise self._failed(problem)
                return rows
            if result.status == ExecStatus.TUPLES_OK:
                names = [result.fname(column).decode() for column in range(result.nfields)]
                for row in range(result.ntuples):
                    values = [result.get_value(row, column) for column in range(result.nfields)]
                    rows.append({n: v.decode() if v else "" for n, v in zip(names, values, strict=True)})
            elif result.status == ExecStatus.COPY_BOTH:
                return rows
            elif result.status != ExecStatus.COMMAND_OK:
                problem = result.error_message.decode(errors="replace")

    def _take(self, data: bytes) -> list[tuple]:
        """The records in a message of the stream."""
        self._heard_at = time.monotonic()
        if data[:1] == b"w":
            return self._decoder.decode(data[25:])
        if data[:1] == b"k":
            (self._sent,) = struct.unpack_from(">Q", data, 1)
            if data[17]:
                self._confirmed_at = 0.0  # it wants an answer
        return []

    def _rest(self) -> None:
        """Between what comes: confirms, and sees to it that something comes."""
        self.acknowledge([])
        now = time.monotonic()
        silence = now - max(self._heard_at, self._asked_at)
        if self._decoder.heard == self._marker:
            if silence > HEARTBEAT:
                self._ask()
        elif silence > DEAD_AFTER:
            raise self._failed("it sends nothing any more")

    def _ask(self) -> None:
        """Writes to the log what comes back to us, after all that was committed before."""
        self._marker, self._asked_at = uuid.uuid4().hex, time.monotonic()
        self.query("select to_json(pg_logical_emit_message(true, %s, %s)::text)", PREFIX, self._marker)

    def _confirm(self, is_now: bool = False) -> None:
        """Tells the server how much is kept, if it was not told a moment ago."""
        now = time.monotonic()
        if not is_now and now - self._confirmed_at < CONFIRM_AFTER:
            return
        if self._kept > self._confirmed:
            self._remember({**self.memory, "confirmed": self._kept})
            self._confirmed = self._kept
        self._confirmed_at = now
        pgconn = self._stream.pgconn
        try:
            pgconn.put_copy_data(struct.pack(">cQQQQB", b"r", *[self._confirmed] * 3, 0, 0))
            while pgconn.flush():
                select.select([], [pgconn.socket], [], 1.0)
        except psycopg.Error as error:
            raise self._failed(str(error)) from error

    def _failed(self, problem: str) -> Disconnected:
        return Disconnected(f"{self.where}: {_in_short(problem)}")


_HEALTH = """
    select json_build_object(
        'is_ours', plugin = 'pgoutput' and slot_type = 'logical' and database = current_database(),
        'wal_status', wal_status, 'confirmed', confirmed_flush_lsn::text,
        'held', pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)),
        'room', pg_size_pretty(safe_wal_size)
    )
    from pg_replication_slots where slot_name = %s
"""


def _history(system: dict[str, str]) -> str:
    """Of the server, of which LSNs tell the order: it has another one when it comes back from an archive."""
    return f"{system['systemid']}/{system['timeline']}"


def _number(lsn: str) -> int:
    """An LSN, which PostgreSQL writes as two hexadecimal numbers."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _in_short(problem: str) -> str:
    """The server's own words, in one line."""
    return " ".join(scrub(problem).replace("ERROR:", "").split()).rstrip(".")
