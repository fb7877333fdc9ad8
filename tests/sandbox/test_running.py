import csv
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

import sandbox
from sandbox.shop import Database, tables
from sandbox.simulation import KEYS

SCALE = 0.02


def count(options, table="orders"):
    with psycopg.connect(options["SOURCES__SHOP__CREDENTIALS"]) as connection:
        return connection.execute(f"select count(*) from {table}").fetchone()[0]


def truth(root, name):
    with (root / "truth" / name).open() as file:
        return json.load(file) if name.endswith(".json") else list(csv.DictReader(file))


def start(root, *arguments):
    """`python -m sandbox start` in a process of its own, once it answers; and its options."""
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--root",
        str(root),
        "start",
        "--scale",
        str(SCALE),
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    options = {}
    for line in process.stderr:
        if line.startswith("# clock"):
            break
    while len(options) < (sum(not argument.startswith("--") for argument in arguments) or 7):
        name, value = process.stdout.readline().removeprefix("export ").rstrip("\n").split("=", 1)
        options[name] = value.strip("'")
    return process, options


def test_the_database_holds_what_the_truth_says(options, root):
    for table, rows in truth(root, "tables.json").items():
        assert count(options, table) == rows
    query = (
        "select order_id, order_total, sum(quantity * unit_price)"
        " from orders join order_items using (order_id) group by order_id"
    )
    with psycopg.connect(options["SOURCES__SHOP__CREDENTIALS"]) as connection:
        money = {key: (total, goods) for key, total, goods in connection.execute(query)}
    told = {
        int(row["order_id"]): (Decimal(row["order_total"]), Decimal(row["items_total"]))
        for row in truth(root, "orders.csv")
    }
    assert money == told
    people = truth(root, "people.csv")
    assert len(people) == count(options, "customers") + len(truth(root, "deleted.json")["customers"])


def test_the_reader_reads_only_and_needs_its_password(options):
    url = options["SOURCES__SHOP__CREDENTIALS"]
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from orders")
    password = url.split("@")[0].split(":")[-1]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(password, "wrong"))
    with pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(url.replace("catchment_reader:" + password, "postgres"))


def test_the_shop_is_a_proper_database(options):
    with psycopg.connect(options["SOURCES__SHOP__CREDENTIALS"]) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
        assert connection.execute(
            "select count(*) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
            " and obj_description(oid) is null"
        ).fetchone() == (0,)
        assert connection.execute(
            "select count(*) from pg_attribute join pg_class on attrelid = pg_class.oid"
            " where relkind = 'r' and attnum > 0 and relnamespace = 'public'::regnamespace"
            " and col_description(attrelid, attnum) is null"
        ).fetchone() == (0,)
        indexed = connection.execute("select tablename from pg_indexes where indexdef like '%(updated_at)'").fetchall()
        assert {table for (table,) in indexed} == set(KEYS)
        assert connection.execute("select count(*) from pg_constraint where contype = 'f'").fetchone()[0] >= 10


def test_advance_while_it_runs_changes_database_files_rates_and_truth(made_root):
    with sandbox.running(root=made_root, scale=SCALE) as options:
        folder = Path(options["SOURCES__SPREADSHEETS__FOLDER"]) / "orders"
        orders, files = count(options), {path: path.read_bytes() for path in folder.glob("*/*.csv")}
        assert sandbox.advance(45, made_root) == date(2026, 11, 15) == sandbox.clock(made_root)
        assert count(options) > orders
        for table, rows in truth(made_root, "tables.json").items():
            assert count(options, table) == rows
        assert all(path.read_bytes().startswith(before) for path, before in files.items())
        assert len(list(folder.glob("*/*.csv"))) == len(files) + 8
        with urlopen(options["SOURCES__EXCHANGE_RATES__BASE_URL"] + "/latest") as answer:
            assert json.load(answer)["date"] == "2026-11-13"
    with sandbox.running(["shop"], root=made_root, scale=SCALE) as options:
        assert count(options) > orders, "the clock was not kept"
        company = sandbox.Company(1, SCALE).run(date(2026, 11, 15))
        with Database(made_root / "postgres").connect() as connection:
            for table, rows in tables(company).items():
                assert {row[0]: row for row in connection.execute(f"select * from {table}").fetchall()} == rows


def test_another_seed_remakes_the_data_and_the_same_keeps_it(made_root):
    with sandbox.running(["shop"], root=made_root, scale=SCALE, seed=1) as options:
        password = options["SOURCES__SHOP__CREDENTIALS"].split("@")[0]
    began = time.monotonic()
    with sandbox.running(["shop"], root=made_root, scale=SCALE, seed=1) as options:
        assert time.monotonic() - began < 2
        assert options["SOURCES__SHOP__CREDENTIALS"].split("@")[0] == password
    (made_root / "mine.txt").write_text("not the sandbox's")
    with sandbox.running(["shop"], root=made_root, scale=SCALE, seed=2) as options:
        assert options["SOURCES__SHOP__CREDENTIALS"].split("@")[0] != password
    assert (made_root / "mine.txt").exists()


def test_another_share_of_dirt_remakes_the_data_and_stays_with_it(made_root):
    """A sandbox of before it could be set has the usual one, and is kept."""
    file = made_root / "sandbox.json"
    state = json.loads(file.read_text())
    assert state.pop("dirt") == 0.05
    file.write_text(json.dumps(state))
    with sandbox.running(["shop"], root=made_root, scale=SCALE):
        assert json.loads(file.read_text()) == state
    process, options = start(made_root, "shop", "--dirt=0")
    try:
        with psycopg.connect(options["SOURCES__SHOP__CREDENTIALS"]) as connection:
            dirty = "select count(*) from customers where email is distinct from lower(trim(email)) or email is null"
            assert connection.execute(dirty).fetchone() == (0,)
            sandbox.advance(40, made_root)
            assert connection.execute(dirty).fetchone() == (0,)
    finally:
        process.terminate()
        process.wait(30)
    assert {defect["hits"] for defect in truth(made_root, "defects.json").values()} == {0}


@pytest.mark.parametrize("dirt", [-0.1, 0.6, float("nan")])
def test_dirt_is_a_share(new_root, dirt):
    with (
        pytest.raises(ValueError, match=r"the dirt is .*: give a share from 0 to 0.5"),
        sandbox.running(root=new_root, dirt=dirt),
    ):
        pass


def test_the_root_may_have_a_space_in_its_name(new_root):
    root = new_root / "my sandbox"
    with sandbox.running(["shop"], root=root, scale=SCALE) as options:
        assert count(options)
    sandbox.reset(root)


def test_two_roots_run_at_once_and_one_root_only_once(options, root, new_root):
    with sandbox.running(root=new_root, scale=SCALE, seed=7) as other:
        assert other.keys() == options.keys()
        alike = {name for name in other if other[name] == options[name]}
        names = {"SOURCES__BLUESKY__IDENTIFIER", "SOURCES__BLUESKY__SEARCHES", "SOURCES__MASTODON__SEARCHES"}
        shapes = {"SOURCES__DEVICES__TOPICS", "SOURCES__DEVICES__RECEIVED_PROPERTY", "SOURCES__SPREADSHEETS__TABLES"}
        assert alike == names | shapes, "the company's name, and what its data look like"
        assert count(other) and count(options)
    refused = subprocess.run(
        [sys.executable, "-m", "sandbox", "--root", root, "start"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2 and "running already" in refused.stderr
    assert count(options)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything(made, signal_number):
    process, options = start(made)
    assert count(options)
    process.send_signal(signal_number)
    process.wait(10)
    assert Database(made / "postgres").port is None
    with pytest.raises(psycopg.OperationalError):
        count(options)


def test_after_kill_9_the_next_start_takes_the_orphan_over_and_stops_it(made):
    process, options = start(made, "shop")
    process.kill()
    process.wait()
    assert count(options), "the server is orphaned, and alive"
    with sandbox.running(["shop"], root=made, scale=SCALE) as options:
        assert count(options)
    assert Database(made / "postgres").port is None


def test_a_stale_pid_file_does_not_matter(made):
    with sandbox.running(["shop"], root=made, scale=SCALE):
        lines = (made / "postgres/postmaster.pid").read_text().splitlines()
    lines[0] = str(os.getpid())  # the dead server's number went to another process
    (made / "postgres/postmaster.pid").write_text("\n".join(lines) + "\n")
    with sandbox.running(["shop"], root=made, scale=SCALE) as options:
        assert count(options)


def test_the_command_line_says_what_is_wrong(new_root):
    def run(*arguments):
        command = [sys.executable, "-m", "sandbox", "--root", str(new_root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    advance, start_wrong, help_ = run("advance"), run("start", "crm"), run("--help")
    assert advance.returncode == 2 and "start it first" in advance.stderr
    assert start_wrong.returncode == 2 and "the sandbox has no crm" in start_wrong.stderr
    assert all(word in help_.stdout for word in ("start", "advance", "reset", "Ctrl-C"))
