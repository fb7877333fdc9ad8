"""Databases in a lake: types that Spark does not have, and columns that change theirs."""

import uuid

import pyarrow.parquet as pq
import pytest
from conftest import counts

pytestmark = pytest.mark.parametrize("warehouse", ["spark"], indirect=True)


def types(warehouse, table):
    """Column -> the types that it has in the table's files."""
    found = {}
    for path in (warehouse.file / "raw_erp" / table).glob("*.parquet"):
        for field in pq.read_schema(path):
            found.setdefault(field.name, set()).add(str(field.type))
    return found


def test_types_that_spark_does_not_have(warehouse, postgres_database):
    """Land as text, as it is written, also as a key; read again, they are the same rows."""
    number = uuid.uuid4()
    postgres_database.execute("create table shifts (id uuid primary key, starts time)")
    postgres_database.execute("insert into shifts values (%s, %s)", number, "08:30")
    erp = postgres_database.configure()
    assert counts(warehouse.run(erp)["shifts"]) == (1, 1, 0, 0, 0)
    assert warehouse.query("select id, starts, _key from raw_erp.shifts") == [(str(number), "08:30:00", str(number))]
    assert types(warehouse, "shifts")["id"] == types(warehouse, "shifts")["starts"] == {"string"}
    postgres_database.execute("insert into shifts values (gen_random_uuid(), null)")
    assert counts(warehouse.run(erp)["shifts"])[1] == 1
    assert warehouse.query("select count(*), count(distinct id) from raw_erp.shifts") == [(2, 2)]


def test_column_that_is_widened(warehouse, postgres_database):
    """In all files, so that they have one type, in which every value is what it was."""
    postgres_database.execute("create table items (id int primary key, size int)")
    postgres_database.execute("insert into items values (1, 7)")
    erp = postgres_database.configure()
    warehouse.run(erp)
    postgres_database.execute("alter table items alter size type numeric(30, 5)")
    postgres_database.execute("insert into items values (2, 0.00001)")
    warehouse.run(erp)
    assert types(warehouse, "items")["size"] == {"decimal128(30, 5)"}
    query = "select id, cast(size as varchar) from raw_erp.items where _mark is null order by 1"
    assert set(warehouse.query(query)) == {(1, "7.00000"), (2, "0.00001")}


def test_widening_that_was_interrupted(warehouse, postgres_database, monkeypatch):
    """Some files are wide, others and the schema are not: the next run makes them so."""
    from ingestion import lake

    postgres_database.execute("create table items (id int primary key, size int)")
    erp = postgres_database.configure()
    for number in (1, 2):
        postgres_database.execute("insert into items values (%s, %s)", number, number)
        warehouse.run(erp)
    postgres_database.execute("alter table items alter size type numeric(30, 5)")
    write, written = lake._Files.write, []

    def killed(self, path, table):
        if written:
            raise SystemError("killed")
        written.append(path)
        write(self, path, table)

    with monkeypatch.context() as patch:
        patch.setattr(lake._Files, "write", killed)
        warehouse.run(erp)
    assert "killed" in warehouse.errors["erp"] and len(types(warehouse, "items")["size"]) == 2
    warehouse.run(erp)
    assert types(warehouse, "items")["size"] == {"decimal128(30, 5)"}
