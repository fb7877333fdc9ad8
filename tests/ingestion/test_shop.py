"""The shop's loader against a real PostgreSQL."""

import contextlib
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

import dlt
import pytest
from conftest import DAY, PASSWORD, counts, made_up

from ingestion import sql
from ingestion.contract import Money, contract, field
from ingestion.errors import SourceError
from ingestion.shop import STREAMS, Reader
from ingestion.shop import shop as shop_source
from ingestion.stream import State, Stream
from ingestion.systems import all_systems

ALL = {stream.name for stream in STREAMS}


@pytest.fixture
def customers(shop, warehouse):
    """Runs the stream of customers; returns (read, loaded, unchanged, rejected, gone)."""

    def run(**options):
        run.row = warehouse.run("shop", streams=("customers",), **options)["customers"]
        return counts(run.row)

    return run


def current(warehouse):
    return [number for (number,) in warehouse.current("raw_shop.customers", "customer_id")]


def test_all_streams(shop, warehouse):
    """Empty tables are read completely; every column arrives as it was."""
    shop.customer(1, email="Zoë@example.com", is_business=True)
    shop.product(1, "12.3456", unit_cost="0.5", weight_grams=250)
    ledger = warehouse.run("shop")
    assert set(ledger) == ALL and {row["status"] for row in ledger.values()} == {"complete"}
    assert {name: row["rows_loaded"] for name, row in ledger.items() if row["rows_read"]} == {
        "customers": 1,
        "products": 1,
    }
    columns = "customer_id, email, first_name, is_business, updated_at, _key, _version"
    assert warehouse.query(f"select {columns} from raw_shop.customers") == [
        (1, "Zoë@example.com", None, True, DAY, "1", None)
    ]
    money = (Decimal("12.3456"), Decimal("0.5"), 250)
    assert warehouse.query("select list_price, unit_cost, weight_grams from raw_shop.products") == [money]


def test_incremental(shop, customers, warehouse):
    """New rows, rows with the bound's own cursor, late rows with an old one, and cursors that go backwards."""
    for number in range(1, 6):
        shop.customer(number, DAY + timedelta(days=number))
    assert customers() == (5, 5, 0, 0, 0)
    assert customers.row["cursor_to"] == DAY + timedelta(days=5)
    shop.customer(6, DAY + timedelta(days=6))
    shop.customer(7, DAY + timedelta(days=5))  # a tie with the bound
    shop.customer(8, DAY + timedelta(days=5, minutes=-9))  # within the overlap
    shop.customer(9, DAY - timedelta(days=900))  # late
    shop.customer(2, DAY - timedelta(days=1), email="set back")
    assert customers() == (6, 5, 1, 0, 0)
    assert customers.row["cursor_from"] == DAY + timedelta(days=5)
    assert current(warehouse) == list(range(1, 10))
    assert ("set back",) in warehouse.current("raw_shop.customers", "email")
    assert customers() == (1, 0, 1, 0, 0), "only what is within the overlap is read again"


def test_deleted_and_back(shop, customers, warehouse):
    for number in range(1, 5):
        shop.customer(number)
    customers()
    shop.execute("delete from customers where customer_id = 4")
    assert customers()[4] == 1
    assert current(warehouse) == [1, 2, 3]
    shop.customer(4)
    assert customers()[1] == 1, "unchanged, but gone before"
    assert current(warehouse) == [1, 2, 3, 4]
    shop.execute("delete from customers where customer_id > 1")
    assert customers()[4] == 0 and "3 of 4 known rows are no longer in the source" in customers.row["error"]
    assert current(warehouse) == [1, 2, 3, 4]


def test_cursors_without_a_time(shop, customers, warehouse):
    """Null and infinite cursors reject their rows: a known one is not gone, and the bound stays sound."""
    shop.execute("alter table customers alter updated_at drop not null")
    for number in range(1, 4):
        shop.customer(number)
    customers()
    shop.customer(2, None)
    shop.customer(3, "infinity")
    shop.customer(4, None)
    shop.customer(5, "-infinity")
    shop.customer(6, created_at="0044-03-15 BC")
    assert customers() == (6, 1, 1, 4, 0)
    assert customers.row["cursor_to"] == DAY
    assert {r for (r,) in warehouse.query("select reason from raw_shop.rejected_rows")} == {
        "updated_at: is missing",
        "updated_at: 'infinity' is not a time",
        "updated_at: '-infinity' is not a time",
    }
    assert current(warehouse) == [1, 2, 3, 6]


def test_since_and_until(shop, customers, warehouse):
    for number in range(5):
        shop.customer(number, DAY + timedelta(days=number))
    assert customers(since=DAY + timedelta(days=1), until=DAY + timedelta(days=3)) == (2, 2, 0, 0, 0)
    assert current(warehouse) == [1, 2]
    assert customers() == (5, 3, 2, 0, 0), "bounded runs move no bound"
    shop.execute("delete from customers where customer_id = 1")
    assert customers(since=DAY) == (4, 0, 4, 0, 0), "and mark nothing gone"
    assert customers(full=True) == (4, 0, 4, 0, 1) and customers.row["cursor_from"] is None


def test_numbers_that_money_cannot_hold(shop, warehouse):
    """They are rejected, and neither rounded nor made a zero; numerics of any size are read."""
    shop.product(1, "NaN")  # numeric(18, 4) can
    shop.product(2)
    shop.execute("alter table products alter list_price type numeric, alter unit_cost type numeric(60, 10)")
    for number, price in enumerate(["NaN", "Infinity", "1.23456", "123456789012345", "1.50000", "1e3"], start=3):
        shop.product(number, price)
    shop.product(9, unit_cost="0.00010")
    row = warehouse.run("shop", streams=("products",))["products"]
    assert counts(row) == (9, 4, 0, 5, 0)
    prices = "select product_id, list_price, unit_cost from raw_shop.products order by 1"
    assert warehouse.query(prices) == [
        (2, Decimal("1.5"), None),
        (7, Decimal("1.5"), None),
        (8, Decimal("1000"), None),
        (9, Decimal("1.5"), Decimal("0.0001")),
    ]
    rejected = warehouse.query("select original->>'product_id', reason from raw_shop.rejected_rows order by 1")
    assert [(number, reason.split("'")[1]) for number, reason in rejected] == [
        ("1", "NaN"), ("3", "NaN"), ("4", "Infinity"), ("5", "1.23456"), ("6", "123456789012345"),
    ]  # fmt: skip


def test_changed_schema(shop, warehouse):
    """What was dropped, renamed or forbidden fails its stream alone, in words that say what to do."""
    changing = ("customers", "products", "payments", "refunds", "subscriptions")
    shop.customer(1)
    warehouse.run("shop", streams=changing)
    shop.execute("drop table refunds")
    shop.execute("revoke select on payments from catchment_reader")
    shop.execute("alter table products rename sku to article")
    shop.execute("alter table subscriptions drop column updated_at")
    shop.execute("""alter table customers add tier text default 'gold', add "Total" int default 1""")
    shop.execute("alter table customers add total int default 2")
    shop.execute("update customers set updated_at = %s", DAY + timedelta(days=1))
    ledger = warehouse.run("shop", streams=changing)
    assert not warehouse.errors
    errors = {name: row["error"] for name, row in ledger.items() if row["status"] == "failed"}
    assert set(errors) == {"refunds", "payments", "products", "subscriptions"}
    assert errors["refunds"].startswith(
        f"there is no table refunds in 127.0.0.1:{shop.server.port}/{shop.name}, which has: addresses, customers, "
    )
    assert errors["payments"] == (
        'role catchment_reader may not read "public"."payments": '
        'grant select on "public"."payments" to catchment_reader'
    )
    assert errors["products"].startswith("there is no column sku among: article, ")
    assert errors["subscriptions"].startswith("there is no column updated_at among: ")
    assert counts(ledger["customers"]) == (1, 1, 0, 0, 0)
    assert json.loads(ledger["customers"]["unknown_fields"]) == ["Total", "tier", "total (2)"]
    ((unknown,),) = warehouse.query("select _unknown_fields from raw_shop.customers where _unknown_fields is not null")
    assert json.loads(unknown) == {"tier": "gold", "Total": 1, "total (2)": 2}, "names that differ in case alone"


def test_retyped_columns(shop, customers, warehouse):
    """A column whose values still say the same goes on; another type rejects the rows; nothing is lost."""
    shop.customer(1)
    shop.customer(2, DAY + timedelta(days=1))
    customers()
    shop.execute("drop table addresses, orders, order_items, payments, refunds, subscriptions cascade")
    for column, other in (("updated_at", "text"), ("customer_id", "text"), ("is_business", "int using 0")):
        shop.execute(f"alter table customers alter {column} type {other}")
    shop.customer("3", "2026-03-03 12:00:00+00", is_business=1)
    assert customers() == (3, 1, 2, 0, 0), customers.row["error"]
    assert "the cursor updated_at is of type text, in which" in customers.row["notes"]
    shop.execute("alter table customers alter created_at type bigint using 5")
    assert customers(full=True) == (3, 0, 0, 3, 0)
    assert current(warehouse) == [1, 2, 3]
    assert warehouse.query("select distinct reason from raw_shop.rejected_rows") == [("created_at: '5' is not a time",)]


def test_cursor_retyped_to_a_number(shop, customers):
    """A contract's time that has become a number rejects the rows."""
    shop.customer(1)
    customers()
    shop.execute("alter table customers alter updated_at type bigint using 7")
    assert customers() == (1, 0, 0, 1, 0), customers.row["error"]


def test_all_tables_in_one_snapshot(shop, warehouse):
    """What is committed while one table is read is not in another that is read after it."""
    shop.customer(1)
    shop.product(1)
    happened = []

    def meanwhile(stream, rows):
        if not happened:
            shop.customer(2)
            shop.product(2)
            happened.append(stream)

    ledger = warehouse.run("shop", streams=("customers", "products"), report=meanwhile)
    assert happened and {row["rows_read"] for row in ledger.values()} == {1}
    ledger = warehouse.run("shop", streams=("customers", "products"))
    assert {counts(row)[:3] for row in ledger.values()} == {(2, 1, 1)}


MANY = """
    insert into customers select i, repeat('x', {1}), null, null, null, null, null, true, true, now(), now()
    from generate_series(1, {0}) as i;
    insert into products select i, 's' || i, repeat('x', {1}), null, 'EUR', 1, null, null, true, now(), now()
    from generate_series(1, {0}) as i;
"""


def test_tables_of_many_pages(shop, warehouse, monkeypatch):
    monkeypatch.setattr(sql, "CHUNK_KEYS", 1000)
    shop.execute(MANY.format(4_000, 10))
    ledger = warehouse.run("shop", streams=("customers", "products"))
    assert {counts(row) for row in ledger.values()} == {(4_000, 4_000, 0, 0, 0)}
    shop.execute("update customers set updated_at = updated_at - interval '1 year' where customer_id <= 2500")
    row = warehouse.run("shop", streams=("customers",))["customers"]
    assert counts(row) == (4_000, 2500, 1500, 0, 0)
    assert warehouse.query("select count(*), count(distinct _key) from raw_shop.customers") == [(6_500, 4_000)]


class Halfway:
    """Whoever reads rows of customers as the reader waits at one of the last, until something has happened."""

    def __init__(self, shop) -> None:
        self.shop, self.count = shop, 0
        shop.execute(MANY.format(24_000, 500) + "; delete from products where product_id > 1")
        shop.execute("""
            create function may_go_on() returns boolean language plpgsql as $$
                begin
                    if current_query() ~ 'email' then perform pg_advisory_lock_shared(1); end if;
                    return true;
                end
            $$;
            create policy halfway on customers using (customer_id <> 20000 or may_go_on());
            alter table customers enable row level security;
        """)

    @contextlib.contextmanager
    def happens(self, what: Callable[[], object], is_once: bool = False):
        """Does it each time that a reader waits (if `is_once`, the next one need not)."""
        self.count, over = 0, threading.Event()

        def watch():
            with self.shop.connect() as barrier:
                barrier.execute("select pg_advisory_lock(1)")
                shut.set()
                waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                while not over.wait(0.02):
                    if barrier.execute(waiting).fetchone() != (0,):
                        self.count += 1
                        what()
                        if is_once:
                            return

        shut, watcher = threading.Event(), threading.Thread(target=watch)
        watcher.start()
        shut.wait()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def cut(self) -> None:
        """Ends all connections of the reader."""
        self.shop.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'catchment_reader'")


def test_connection_cut_in_the_middle_of_a_table(shop, warehouse):
    """Once: the table is read again, and lands once. Each time: nothing of it lands; the next stream connects anew."""
    halfway = Halfway(shop)
    with halfway.happens(halfway.cut):
        ledger = warehouse.run("shop", streams=("customers", "products"))
    assert halfway.count == sql.ATTEMPTS
    assert ledger["customers"]["error"].startswith(f"127.0.0.1:{shop.server.port}/{shop.name}: ")
    assert "terminating connection due to administrator command" in ledger["customers"]["error"]
    assert counts(ledger["customers"]) == (0, 0, 0, 0, 0)
    assert warehouse.query("from raw_shop.customers") == []
    assert counts(ledger["products"]) == (1, 1, 0, 0, 0)
    with halfway.happens(halfway.cut, is_once=True):
        ledger = warehouse.run("shop", streams=("customers", "products"))
    assert halfway.count == 1
    assert counts(ledger["customers"]) == (24_000, 24_000, 0, 0, 0)
    assert counts(ledger["products"]) == (1, 0, 1, 0, 0), "within the overlap"
    assert warehouse.query("select count(*), count(distinct _key) from raw_shop.customers") == [(24_000, 24_000)]


def test_server_stopped_in_the_middle_of_a_table(shop, warehouse, monkeypatch):
    halfway = Halfway(shop)
    try:
        with halfway.happens(shop.server.stop, is_once=True):
            ledger = warehouse.run("shop", streams=("customers", "products"))
    finally:
        shop.server.start()
    assert not warehouse.errors and halfway.count == 1
    for row in ledger.values():
        assert row["error"].startswith("can't connect to 127.0.0.1:") and "Connection refused" in row["error"]
        assert counts(row) == (0, 0, 0, 0, 0)
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", shop.credentials)
    ledger = warehouse.run("shop", streams=("customers", "products"))
    assert counts(ledger["customers"]) == (24_000, 24_000, 0, 0, 0)
    assert counts(ledger["products"]) == (1, 1, 0, 0, 0)


def credentials(shop, user="catchment_reader", password=PASSWORD, host="127.0.0.1", port=None, database=None):
    port, database = port or shop.server.port, database or shop.name
    return f"postgresql://{user}:{quote(password, safe='')}@{host}:{port}/{database}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"password": "wrong/pass@word"}, 'password authentication failed for user "catchment_reader"'),
        ({"user": "nobody"}, "no pg_hba.conf entry|authentication failed"),
        ({"database": "nothing"}, 'database "nothing" does not exist'),
        ({"port": 1}, "Connection refused"),
        ({"host": "nowhere.invalid"}, 'could not translate host name "nowhere.invalid"'),
    ],
)
def test_cannot_connect(shop, options, message):
    tables = Reader(credentials(shop, **options), "public")
    with pytest.raises(SourceError, match=message) as raised:
        tables.check(STREAMS[0])
    assert str(raised.value).startswith("can't connect to ")
    assert "Check its credentials, and that the server is up" in str(raised.value)
    assert "wrong" not in str(raised.value) and "pass@word" not in str(raised.value)


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://catchment_reader:hunter2/secret@word@127.0.0.1:1/shop",
        "postgresql://catchment_reader:hunter2@secret@127.0.0.1:1/shop",
        "postgresql://catchment_reader@127.0.0.1:1/shop?password=hunter2",
        "postgresql://catchment_reader:hunter2%zz@127.0.0.1:1/shop",
        "host=127.0.0.1 port=1 user=x password=hunter2 nonsense=hunter2",
    ],
)
def test_password_written_wrongly_is_not_shown(written):
    with pytest.raises(SourceError) as raised:
        Reader(written, "public").check(STREAMS[0])
    for word in ("hunter2", "secret"):
        assert word not in str(raised.value)


def test_down_server_fails_every_stream_and_loses_nothing(shop, customers, warehouse, monkeypatch):
    shop.customer(1)
    customers()
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", credentials(shop, port=1))
    ledger = warehouse.run("shop", streams=("customers", "orders"))
    assert [row["status"] for row in ledger.values()] == ["failed", "failed"]
    assert current(warehouse) == [1]
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", shop.credentials)
    assert customers() == (1, 0, 1, 0, 0)
    assert customers.row["cursor_from"] == DAY, "the failed run has not moved the bound"


def test_other_schemas(shop):
    shop.execute("create schema closed; create table closed.customers (a int)")
    with pytest.raises(SourceError, match=r"there is no table customers in .*, which has: none"):
        Reader(shop.credentials, "nothing").check(STREAMS[0])
    with pytest.raises(
        SourceError, match=r'may not use schema "closed": grant usage on schema "closed" to catchment_reader'
    ):
        Reader(shop.credentials, "closed").check(STREAMS[0])


def test_check(shop):
    shop.customer(1)
    assert all_systems()["shop"].connect().check(STREAMS[0]) == "1 rows"


@contract
class Odd:
    """One row of a table with awkward names."""

    row_id: int = field("Number.", key=True, source="Row ID")
    part: str = field("Part.", key=True, source='the "part" 1')
    amount: Money = field("Amount.")
    changed_at: datetime | None = field("Changed.")


def test_names_that_need_quoting(shop, warehouse):
    shop.execute("""
        create schema "My 'Schema'";
        create table "My 'Schema'"."Odd ""Table"" 1" (
            "Row ID" int, "the ""part"" 1" text, "Amount" text, "AMOUNT" text, amount numeric, changed_at timestamp,
            primary key ("Row ID", "the ""part"" 1")
        );
        insert into "My 'Schema'"."Odd ""Table"" 1"
            values (1, 'it''s', 'x', 'y', 5, '2026-03-01'), (1, '"', 'x', 'y', 6, '2026-03-02'),
                (2, '', 'x', 'y', 8, null);
        grant usage on schema "My 'Schema'" to catchment_reader;
        grant select on "My 'Schema'"."Odd ""Table"" 1" to catchment_reader
    """)
    stream = Stream("odd", Odd, State(), cursor="changed_at", source='Odd "Table" 1')
    system = made_up(stream, reader=Reader(shop.credentials, "My 'Schema'"))
    assert system.reader().check(stream) == "3 rows"
    assert counts(warehouse.run(system)["odd"]) == (3, 3, 0, 0, 0)
    rows = warehouse.query("select row_id, part, amount, _unknown_fields from raw_made_up.odd order by amount")
    assert rows[0][:3] == (1, "it's", 5) and rows[1][:3] == (1, '"', 6)
    assert sorted(json.loads(rows[0][3]).values()) == ["x", "y"], "columns whose names differ from amount in case alone"
    shop.execute(
        """update "My 'Schema'"."Odd ""Table"" 1" set changed_at = '2020-01-01', amount = 7 where amount = 5"""
    )
    shop.execute("""delete from "My 'Schema'"."Odd ""Table"" 1" where amount = 6""")
    shop.execute("""update "My 'Schema'"."Odd ""Table"" 1" set amount = 9 where amount = 8""")
    system = made_up(stream, reader=Reader(shop.credentials, "My 'Schema'"))
    assert counts(warehouse.run(system)["odd"]) == (2, 2, 0, 0, 1), "by the sweep of keys, or without cursor"
    assert warehouse.current("raw_made_up.odd", "part, amount") == [("it's", 7), ("", 9)]


def test_types_that_break_others(shop, customers, warehouse):
    """Columns that the contract does not know are kept, whatever their type."""
    shop.execute("""
        create type mood as enum ('good', 'it''s');
        create domain short as varchar(5);
        alter table customers add e mood default 'it''s', add d short default 'abc', add r int4range default '[1,5)',
            add a int[] default '{1,null}', add j jsonb default '{"n": 123456789012345678901234567890}',
            add m money default 12.5, add i interval default '1 mon 25:00:00', add b bytea default '\\x00ff',
            add u uuid default '00000000-0000-0000-0000-000000000001', add t time default '12:30',
            add z timetz default '12:30+02', add n numeric default 'NaN', add f float8 default 'Infinity',
            add p point default '(1,2)', add o oid default 5, add c char(3) default 'a',
            add bits bit(3) default b'101', add ip inet default '::1', add late timestamptz default 'infinity'
    """)
    shop.customer(1)
    customers()
    ((unknown,),) = warehouse.query("select _unknown_fields from raw_shop.customers")
    unknown = json.loads(unknown, parse_int=str)
    assert len(unknown) == 19
    expected = {"e": "it's", "d": "abc", "r": "[1,5)", "a": "[1,null]", "i": "1 mon 25:00:00", "b": "\\x00\\xFF"}
    expected |= {"n": "NaN", "p": "(1,2)", "ip": "::1/128", "bits": "101", "late": "infinity"}
    assert {name: unknown[name] for name in expected} == expected
    assert "123456789012345678901234567890" in str(unknown["j"])


def test_texts(shop, customers, warehouse):
    texts = ["", " ", "a\nb", "Zoë ☕", "'; drop table customers; --", "\\N", '"', "\x01", "null"]
    for number, text in enumerate(texts):
        shop.customer(number, email=text)
    customers()
    assert warehouse.query("select email from raw_shop.customers order by customer_id") == [(text,) for text in texts]


def test_without_our_command_line(shop, tmp_path):
    """A plain dlt pipeline loads the source, and reads incrementally the next time."""

    def run():
        pipeline = dlt.pipeline(
            "mine",
            destination=dlt.destinations.duckdb(str(tmp_path / "mine.duckdb")),
            dataset_name="landed",
            pipelines_dir=str(tmp_path / "pipelines"),
        )
        pipeline.run(shop_source(shop.credentials).with_resources("customers"))
        with pipeline.sql_client() as client:
            columns = "customer_id, _mark, _dlt_load_id is null"
            customers = client.execute_sql(f"select {columns} from customers order by 1, 2 nulls last")
            columns = "status, rows_read, rows_loaded, rows_unchanged, cursor_from"
            ledger = client.execute_sql(f"select {columns} from load_ledger order by finished_at")
        return customers, ledger

    shop.customer(1)
    shop.customer(2)
    customers, ledger = run()
    assert customers == [(1, None, False), (2, None, False)]
    assert ledger == [("complete", 2, 2, 0, None)]
    shop.customer(3, DAY + timedelta(days=1))
    shop.execute("delete from customers where customer_id = 1")
    customers, ledger = run()
    assert customers == [(1, "gone", False), (1, None, False), (2, None, False), (3, None, False)]
    assert ledger[1] == ("complete", 2, 1, 1, DAY)


def test_no_credentials(monkeypatch):
    monkeypatch.delenv("SOURCES__SHOP__CREDENTIALS", raising=False)
    system = all_systems()["shop"]
    assert system.missing == ["SOURCES__SHOP__CREDENTIALS"]
