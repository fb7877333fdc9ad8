# ruff: noqa: F811
"""The odd ends of change capture, where rows, values or time get lost unnoticed."""

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

from ingestion import live
from ingestion import slot as slots
from ingestion.errors import SourceError
from ingestion.systems import all_systems
from sandbox.shop import READER
from tests.captured import log_versions
from tests.ingestion.databases.test_capture import (  # noqa: F401
    SMALL,
    drained,
    lose_by_advance,
    notes,
    source,
    wait_for,
)

BIG = "(select string_agg(md5(g::text || {}), '') from generate_series(1, 300) g)"


def doubled(source, table="t"):
    return source.warehouse.query(
        f"select count(*) - count(distinct (_key, _version, _mark is null)) from raw_erp.{table}"
    )[0][0]


def test_a_table_left_out_by_patterns_loses_nothing(source, monkeypatch):
    source.create("create table t (id int primary key); create table u (id int primary key)")
    source.run()
    source.database.configure(tables=["t"])
    for number in range(3):
        source.execute(f"insert into t values ({number}); insert into u values ({number})")
        source.run()
    monkeypatch.delenv("SOURCES__DATABASES__ERP__TABLES")
    source.run()
    source.is_equal("t", "u")


def test_a_warehouse_from_a_backup_loses_nothing(source, tmp_path):
    source.create(SMALL)
    source.run()
    shutil.copy(source.warehouse.file, tmp_path / "backup")
    for number in range(3):
        source.execute(f"update t set n = 5 where id = {number + 1}")
        source.run()
    source.warehouse.file.unlink()
    shutil.copy(tmp_path / "backup", source.warehouse.file)
    source.run()
    source.is_equal("t")


NAMES = (
    "row",
    "before",
    "texts",
    "version",
    "text",
    "value",
    "committed_at",
    "kind",
    "unchanged",
    "changes",
    "records",
    "typed",
    "_key",
    "_value",
    "_values",
    "_row_hash",
    "_observed_at",
    "_position",
    "_before_key",
    "filename",
    "printed_1",
    "name",
    "0",
    "a.b",
    "$",
    "*",
    "#",
    "~1",
    "a/b",
    "[0]",
    "é",
    'q"q',
    "",
    " ",
)[:-2]


def test_columns_of_any_name(source):
    columns = ", ".join('"' + name.replace('"', '""') + '" text' for name in NAMES)
    values = ", ".join(f"'{number} {{}}'" for number, _ in enumerate(NAMES))
    source.create(
        f"create table t (id int primary key, big text, n int[], {columns}); "
        "alter table t alter big set storage external"
    )
    source.execute(f"insert into t values (1, {BIG.format(1)}, null, {values.format(*['a'] * len(NAMES))})")
    source.run()
    source.execute(f"insert into t values (2, {BIG.format(2)}, '{{1}}', {values.format(*['b'] * len(NAMES))})")
    source.run()
    source.is_equal_to_a_full_read("t")
    source.execute("update t set n = '{7}'")
    source.run()
    source.is_equal_to_a_full_read("t")


@pytest.mark.parametrize("name", ["version", "_key", "_value", "texts", "committed_at"])
def test_a_large_column_of_any_name(source, name):
    source.create(
        f'create table t (id int primary key, "{name}" text, n int); alter table t alter "{name}" set storage external'
    )
    source.execute(f"insert into t values (1, {BIG.format(1)}, 1)")
    source.run()
    source.execute("update t set n = 2")
    source.run()
    source.is_equal_to_a_full_read("t")


def test_a_key_that_only_postgres_can_convert_may_change(source):
    source.create("create table t (ip inet primary key, n int); insert into t values ('10.0.0.1', 1), ('10.0.0.2', 2)")
    source.run()
    source.execute("update t set ip = '10.0.0.3' where n = 1")
    ledger = source.run()
    assert ledger["t"]["rows_rejected"] == 0
    source.is_equal_to_a_full_read("t")


def test_truncate_before_a_lost_log_takes_away_nothing_that_is_there(source):
    source.create(SMALL)
    source.run()
    source.execute("truncate t")
    drained(source)
    source.execute("insert into t select g, 0 from generate_series(1, 10) g")
    lose_by_advance(source)
    source.run(accept_deletes=True)
    source.is_equal("t")


def test_a_table_that_left_the_publication_and_came_back(source):
    source.create(SMALL, "for table t")
    source.run()
    source.execute("alter publication catchment drop table t; update t set n = 1 where id = 1")
    source.execute("alter publication catchment add table t; update t set n = 2 where id = 2")
    assert "it had left the publication" in notes(source.run()["t"])[0]
    source.is_equal("t")


def test_a_publication_that_was_dropped_and_made_again(source):
    source.create(SMALL, "for table t")
    source.run()
    source.execute("drop publication catchment; update t set n = 1 where id = 1")
    source.warehouse.run("erp")
    source.execute("create publication catchment for table t; update t set n = 2 where id = 2")
    source.run()
    source.is_equal("t")


def test_a_publication_that_comes_after_writes(source):
    source.execute(SMALL)
    source.warehouse.run("erp")
    source.execute("update t set n = 1")
    source.execute("create publication catchment for all tables")
    source.run()
    source.is_equal("t")


def test_a_table_that_can_be_captured_no_more_stops_no_other(source):
    source.create("create table t (id int primary key); create table u (id int primary key)")
    source.run()
    source.execute("alter table t replica identity nothing; insert into u values (1)")
    ledger = source.warehouse.run("erp")
    assert source.warehouse.errors == {}
    assert source.current("u", "id") == [(1,)]
    assert ledger["t"]["error"]


def test_an_unlogged_table_is_read_beside_the_log(source):
    source.create("create unlogged table t (id int primary key); insert into t values (1)")
    assert source.run()["t"]["kind"] == "state"


@pytest.mark.parametrize(
    "change",
    [
        "alter table t alter a type text using a || '!'",
        "alter table t drop last, add last text",
        "alter table t alter j type jsonb",
        "alter type mood rename value 'ok' to 'fine'",
    ],
)
def test_what_alter_table_changes_in_silence(source, change):
    source.create(
        "create type mood as enum ('ok', 'bad'); create table t (id int primary key, a text, "
        "j json, m mood, last text); "
        "insert into t values (1, 'x', '{\"a\":1}', 'ok', 'z')"
    )
    source.run()
    source.execute(change)
    source.run()
    source.is_equal_to_a_full_read("t")


@pytest.mark.parametrize(
    "change",
    [
        "truncate t_1",
        "drop table t_1",
        "alter table t detach partition t_1",
    ],
)
def test_what_happens_to_partitions(source, change):
    source.create(
        """
        create table t (id int, day date, primary key (id, day)) partition by range (day);
        create table t_1 partition of t for values from ('2024-01-01') to ('2024-02-01');
        create table t_2 partition of t for values from ('2024-02-01') to ('2024-03-01');
        insert into t values (1, '2024-01-05'), (2, '2024-02-05'), (4, '2024-02-05');
    """,
        "for table t with (publish_via_partition_root = true)",
    )
    source.database.configure(tables=["t"])  # what is detached is a table of its own
    source.run()
    source.execute(change)
    source.run()
    source.is_equal("t")


def test_a_change_before_the_snapshot_that_lacks_a_value_is_no_error(source, monkeypatch):
    source.create(f"""
        create table t (id int primary key, n int, big text);
        alter table t alter big set storage external;
        insert into t values (1, 0, {BIG.format(1)});
    """)
    snapshot = slots.Slot.snapshot

    def late(self):
        source.execute("update t set n = n + 1")
        return snapshot(self)

    monkeypatch.setattr(slots.Slot, "snapshot", late)
    source.run()
    for _ in range(3):
        row = source.run()["t"]
        assert row["rows_rejected"] == 0 and not notes(row)
    source.is_equal("t")


def test_a_run_that_fails_after_its_changes_doubles_nothing(source, monkeypatch):
    def refuse(self):
        raise SourceError("no snapshot")

    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1 where id < 4; alter table t add code text")
    with monkeypatch.context() as patch:
        patch.setattr(slots.Slot, "snapshot", refuse)
        for _ in range(2):
            assert "no snapshot" in source.warehouse.run("erp")["t"]["error"]
    source.run()
    assert doubled(source) == 0
    source.is_equal("t")


def test_full_doubles_nothing(source):
    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1")
    source.run()
    source.run(full=True)
    assert doubled(source) == 0


def test_a_slot_that_is_busy_for_a_moment_is_waited_for(source):
    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1")
    holder = all_systems()["erp"].connect()
    holder.source.connect()
    threading.Timer(1.5, holder.close).start()
    source.run()
    source.is_equal("t")


def test_killed_while_the_slot_is_made_goes_on(source, monkeypatch):
    source.create(SMALL)
    with source.database.connect() as writer:
        writer.autocommit = False
        writer.execute("update t set n = 1")
        first = all_systems()["erp"].connect()
        killed = threading.Thread(target=gone_wrong, args=(drained, source))
        killed.start()
        wait_for(lambda: source.execute("select 1 from pg_replication_slots where slot_name = %s", source.slot))
        # Another process, with the memory that the killed one left: the server still makes the slot.
        memory = first.source.memory
        assert memory["confirmed"] is None
        monkeypatch.setattr(slots, "LONGEST_WAIT", 1.0)
        with pytest.raises(SourceError, match="is being made"):
            first.source.connect()
        first.close()
        writer.rollback()
        killed.join()
    source.run()
    source.is_equal("t")


def test_a_snapshot_that_can_t_be_made_is_waited_for_once(source, monkeypatch):
    source.create(
        "".join(f"create table t{n} (id int primary key);" for n in range(5)) + "create table t (id int primary key)"
    )
    monkeypatch.setattr(slots, "LONGEST_WAIT", 1.0)
    capture = all_systems()["erp"].connect()
    live.drain(capture.source, capture.spool, lambda note: None)
    capture.close()
    with source.database.connect() as writer:
        writer.autocommit = False
        writer.execute("insert into t values (99)")
        asked = []
        snapshot = slots.Slot.snapshot
        monkeypatch.setattr(slots.Slot, "snapshot", lambda self: asked.append(1) or snapshot(self))
        ledger = source.warehouse.run("erp")
        assert all("pg_stat_activity" in row["error"] for row in ledger.values()), ledger
        assert asked == [1]
        writer.rollback()
    source.run()


def test_a_stream_that_is_dead_is_found_out(source, monkeypatch):
    source.create(SMALL)
    source.run()
    monkeypatch.setattr(slots, "HEARTBEAT", 0.3)
    monkeypatch.setattr(slots, "DEAD_AFTER", 1.0)
    over, told, capture = threading.Event(), [], all_systems()["erp"].connect()
    collector = threading.Thread(target=live.collect, args=(capture.source, capture.spool, over.is_set, told.append))
    collector.start()
    wait_for(lambda: "connected" in told)
    time.sleep(0.5)
    ((pid,),) = source.execute("select active_pid from pg_replication_slots where slot_name = %s", source.slot)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: any("sends nothing" in each for each in told), 6)
    finally:
        os.kill(pid, signal.SIGCONT)
        over.set()
        collector.join()


def test_a_transaction_longer_than_a_drain_is_loaded(source, monkeypatch):
    source.create(SMALL)
    source.run()
    source.execute("insert into t select g, 0 from generate_series(100, 200000) g")
    monkeypatch.setattr(live, "LONGEST_DRAIN", 0.2)
    source.run()
    source.is_equal("t")


def test_a_server_from_a_backup_loses_nothing(source, tmp_path):
    source.create(SMALL)
    source.run()
    server = source.database.server
    server.stop()
    subprocess.run(["cp", "-a", server.folder, tmp_path / "backup"], check=True)
    start(source)
    source.execute("insert into t select g, 0 from generate_series(100, 20000) g")
    source.run()
    server.stop()
    shutil.rmtree(server.folder)
    subprocess.run(["cp", "-a", tmp_path / "backup", server.folder], check=True)
    start(source)
    source.execute("update t set n = 7 where id = 3")
    source.run(accept_deletes=True)
    source.is_equal("t")


def gone_wrong(function, *arguments):
    """Calls it, whatever it raises."""
    with contextlib.suppress(Exception):
        function(*arguments)


def start(source):
    """Starts the server, on another port."""
    source.database.server.start()
    source.database.url = re.sub(r":\d+/", f":{source.database.server.port}/", source.database.url)
    source.database.configure()
    source.database.configure("twin")


def test_history_between_a_snapshot_and_its_reading(source, monkeypatch):
    source.create(
        """
        create table a (id int primary key, n int); insert into a values (1, 0);
        create table b (id int primary key, n int); insert into b values (1, 0)
        """
    )
    snapshot = slots.Slot.snapshot

    def early(self):
        found = snapshot(self)
        for n in (1, 2, 3):
            source.execute(f"update b set n = {n}")
            time.sleep(0.2)
        return found

    monkeypatch.setattr(slots.Slot, "snapshot", early)
    source.run()
    monkeypatch.setattr(slots.Slot, "snapshot", snapshot)
    source.run()
    observed = [at for (at,) in source.warehouse.query("select _observed_at from raw_erp.b order by _version")]
    assert len(observed) == 4
    assert observed == sorted(observed), observed


def test_thousands_of_large_values(source):
    source.create("create table t (id int primary key, doc text)")
    source.run()
    source.execute("insert into t select g, repeat(md5(g::text), 1500) from generate_series(1, 2500) g")
    source.run()
    assert source.warehouse.query("select count(*), min(length(doc)) from raw_erp.t") == [(2500, 48000)]


def test_a_change_that_a_snapshot_has_seen_before_its_turn_is_one_version(source, monkeypatch):
    source.create(SMALL)
    source.run()
    snapshot = slots.Slot.snapshot

    def late(self):
        source.execute("insert into t values (11, 0)")
        return snapshot(self)

    monkeypatch.setattr(slots.Slot, "snapshot", late)
    source.execute("truncate t; insert into t values (1, 1)")
    source.run(accept_deletes=True)  # TRUNCATE makes it another file, so it is read as a whole
    source.run()
    source.is_equal("t")
    assert source.warehouse.query("select count(*) from raw_erp.t where id = 11") == [(2,)]
    versions = source.warehouse.query(log_versions("raw_erp.t"))
    assert len(versions) == 12


def test_a_part_of_a_transaction_is_not_confirmed(source, monkeypatch):
    source.create(SMALL)
    source.run()
    source.execute("insert into t select g, 0 from generate_series(100, 199) g")
    monkeypatch.setattr(slots, "AT_ONCE", 10)
    monkeypatch.setattr(slots, "CONFIRM_AFTER", 0)
    slot = all_systems()["erp"].connect().source
    slot.connect()
    part = slot.receive(5)
    assert 10 <= len(part) < 100
    far = 2**40  # a keepalive comes in between: the server has sent all up to there
    slot._take(struct.pack(">cQQB", b"k", far, 0, 0))
    slot.acknowledge(part)
    slot.close()
    assert slot.memory["confirmed"] < far
    source.run()
    source.is_equal("t")


def test_a_role_whose_transactions_only_read(source):
    source.create(SMALL)
    source.execute(
        f"alter role {READER} set default_transaction_read_only = on;"
        f"alter role {READER} set idle_in_transaction_session_timeout = '300ms'"
    )
    try:
        source.run()
        source.execute("update t set n = 1")
        source.run()
    finally:
        source.execute(f"alter role {READER} reset all")


def test_a_key_column_that_is_new_leaves_no_row_without_key(source):
    source.create(SMALL)
    source.run()
    source.execute(
        "update t set n = 1 where id < 4; delete from t where id = 9; alter table t add code text; "
        "update t set code = 'c' || id; alter table t drop constraint t_pkey, add primary key (code)"
    )
    row = source.run(accept_deletes=True)["t"]
    assert row["rows_rejected"] == 0
    assert source.warehouse.query("select count(*) from raw_erp.t where _key is null") == [(0,)]
    source.is_equal("t")


def test_a_wide_table(source):
    columns = ", ".join(f"column_{number} int default {number}" for number in range(300))
    source.create(f"create table t (id int primary key, {columns})")
    source.run()
    source.execute("insert into t select g from generate_series(1, 5000) g")
    source.run()
    source.is_equal("t")
