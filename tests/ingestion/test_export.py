"""Training sets: what was known as of a moment, with what became of it; the same file again, whatever comes later."""

import hashlib
import json
from datetime import datetime

import duckdb
import pyarrow.parquet as pq
import pytest

from ingestion.__main__ import main

FEATURES = """
    create or replace table marts.ftr_parties_daily as
    select * from (values
        ('a', 1, timestamp '2026-03-01 23:00', timestamp '2026-03-01 23:00'),
        ('a', 2, timestamp '2026-03-02 23:00', timestamp '2026-03-02 23:00'),
        ('a', 3, timestamp '2026-03-03 23:00', timestamp '2026-03-05 23:00'),
        ('b', 4, timestamp '2026-03-02 23:00', timestamp '2026-03-02 23:00'),
        ('c', 5, timestamp '2026-03-28 23:00', timestamp '2026-03-28 23:00'),
        ('c', 6, timestamp '2026-03-29 22:00', timestamp '2026-03-29 22:00')
    ) as rows (entity_id, visits, feature_at, available_at)
"""
LABELS = """
    create or replace table marts.fct_party_labels as
    select * from (values
        ('a', 7, true, 2, timestamp '2026-03-02 23:00', timestamp '2026-03-09 23:00'),
        ('a', 28, false, 0, timestamp '2026-03-02 23:00', timestamp '2026-03-30 22:00'),
        ('a', 7, false, 0, timestamp '2026-03-03 23:00', timestamp '2026-03-10 23:00'),
        ('b', 7, false, 0, timestamp '2026-03-03 23:00', timestamp '2026-03-10 23:00')
    ) as rows (entity_id, horizon_days, has_left, times_left, label_at, label_available_at)
"""


@pytest.fixture
def tables(warehouse):
    """Makes the marts, and runs further SQL on the warehouse."""

    def run(sql):
        warehouse.folder.mkdir(exist_ok=True)
        with duckdb.connect(str(warehouse.file)) as connection:
            connection.execute(sql)

    run(f"create schema marts; {FEATURES}; {LABELS}")
    return run


@pytest.fixture
def export(tmp_path, tables):
    """Exports; returns the rows of the file, and what the JSON says."""

    def export(*arguments, to="sets"):
        assert main(["export", "parties", *arguments, "--to", str(tmp_path / to)]) == 0
        told = json.loads((tmp_path / to / "parties.json").read_text())
        assert sorted(path.name for path in (tmp_path / to).iterdir()) == ["parties.json", "parties.parquet"]
        content = (tmp_path / to / "parties.parquet").read_bytes()
        assert hashlib.sha256(content).hexdigest() == told["sha256"]
        table = pq.read_table(tmp_path / to / "parties.parquet")
        assert [column["name"] for column in told["columns"]] == table.column_names
        assert told["rows"] == table.num_rows
        return table.to_pylist(), told

    return export


def at(text):
    return datetime.fromisoformat(text)


def test_the_newest_row_that_was_true_and_known(export):
    rows, told = export("--as-of", "2026-03-05", "--as-of", "2026-03-03")
    found = [(row["entity_id"], row["visits"], row["feature_at"], row["as_of_at"]) for row in rows]
    third, fifth = at("2026-03-02 23:00"), at("2026-03-04 23:00")
    # what was true on the 4th was known on the 6th
    assert found == [("a", 2, third, third), ("b", 4, third, third), ("a", 2, third, fifth), ("b", 4, third, fifth)]
    assert [moment["as_of_at"] for moment in told["as_of"]] == ["2026-03-02T23:00:00Z", "2026-03-04T23:00:00Z"]
    rows, _ = export("--as-of", "2026-03-06")
    assert [(row["entity_id"], row["visits"]) for row in rows] == [("a", 3), ("b", 4)]


def test_a_day_is_a_midnight_of_the_business_in_winter_and_in_summer(export):
    for text, visits in (("2026-03-29", 5), ("2026-03-30", 6), ("2026-03-29T21:59", 5), ("2026-03-30T00:00+02:00", 6)):
        rows, _ = export("--as-of", text)
        assert rows[-1]["visits"] == visits


def test_the_label_is_of_a_window_that_begins_then_or_later(export):
    rows, told = export("--as-of", "2026-03-03", "--label", "has_left/7")
    assert [(row["entity_id"], row["has_left_7d"]) for row in rows] == [("a", True)]
    assert told["as_of"] == [
        {"as_of_at": "2026-03-02T23:00:00Z", "label_at": "2026-03-02T23:00:00Z", "left_out": 1, "rows": 1}
    ]
    rows, told = export("--as-of", "2026-03-03T08:00", "--label", "times_left/7")
    assert [(row["entity_id"], row["times_left_7d"]) for row in rows] == [("a", 0), ("b", 0)]
    assert told["as_of"][0]["label_at"] == "2026-03-03T23:00:00Z"


def test_the_same_file_again_and_after_more_has_come(export, tables, tmp_path):
    arguments = ["--as-of", "2026-03-03T08:00", "--as-of", "2026-03-03", "--label", "has_left/7"]
    export(*arguments)
    tables("create table others as from marts.ftr_parties_daily; delete from marts.ftr_parties_daily")
    tables("insert into marts.ftr_parties_daily from others order by entity_id desc, visits desc")
    tables("""
        insert into marts.ftr_parties_daily values
            ('a', 9, '2026-03-02 23:00', '2026-04-02'), ('d', 9, '2026-04-01', '2026-04-01')
    """)
    tables("insert into marts.fct_party_labels values ('a', 7, true, 9, '2026-03-20', '2026-03-27')")
    export(*arguments, to="again")
    for name in ("parties.parquet", "parties.json"):
        assert (tmp_path / "sets" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


REACH = "from 2026-03-01T23:00:00Z to 2026-03-29T22:00:00Z, not as of"
NOT_THERE = {
    "people --as-of 2026-03-03": "no features of 'people': there are parties",
    "parties --as-of 2026-02-01": f"{REACH} 2026-01-31T23:00:00Z",
    "parties --as-of 2026-03-03 --as-of 2026-03-31": f"{REACH} 2026-03-30T22:00:00Z",
    "parties --as-of 2026-02-30": "'2026-02-30' is no time: write 2026-01-31",
    "parties --as-of 2026-03-04 --label has_left/28": "the last moment of which it is, is 2026-03-02T23:00:00Z",
    "parties --as-of 2026-03-03 --label has_left/9": "has_left, times_left, its horizons in days 7, 28",
    "parties --as-of 2026-03-03 --label label_at/7": "has no label label_at/7",
}


@pytest.mark.parametrize("arguments", NOT_THERE)
def test_what_is_not_there(tables, tmp_path, capsys, arguments):
    assert main(["export", *arguments.split(), "--to", str(tmp_path / "sets")]) == 2
    assert NOT_THERE[arguments] in capsys.readouterr().err
    assert not (tmp_path / "sets").exists()


def test_no_label_table_no_features_no_warehouse(tables, warehouse, tmp_path, capsys, monkeypatch):
    arguments = ["export", "parties", "--as-of", "2026-03-03", "--to", str(tmp_path / "sets")]
    tables("drop table marts.fct_party_labels")
    assert main([*arguments, "--label", "has_left/7"]) == 2
    assert "leave out --label, or build it" in capsys.readouterr().err
    tables("delete from marts.ftr_parties_daily")
    assert main(arguments) == 2
    assert "marts.ftr_parties_daily is empty" in capsys.readouterr().err
    tables("drop table marts.ftr_parties_daily")
    assert main(arguments) == 2
    assert "there are none: build them with `dbt build`" in capsys.readouterr().err
    warehouse.file.unlink()
    assert main(arguments) == 2
    assert "make it with `make ingest && dbt build`" in capsys.readouterr().err
    monkeypatch.setenv("DBT_TARGET", "spark")
    assert main(arguments) == 2
    assert "on a cluster select from marts.ftr_<FEATURES>_daily" in capsys.readouterr().err


@pytest.mark.parametrize("label", ["has_left", "/7", "has_left/soon"])
def test_labels_that_are_none(tables, capsys, label):
    with pytest.raises(SystemExit):
        main(["export", "parties", "--as-of", "2026-03-03", "--label", label, "--to", "sets"])
    assert "write a column and days, as has_failure/7" in capsys.readouterr().err


def test_a_folder_that_can_not_be_written(tables, tmp_path, capsys):
    (tmp_path / "sets").write_text("")
    assert main(["export", "parties", "--as-of", "2026-03-03", "--to", str(tmp_path / "sets")]) == 2
    assert "can't be written" in capsys.readouterr().err
