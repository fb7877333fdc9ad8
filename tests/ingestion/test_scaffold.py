"""First staging models: whatever tables and columns are called, the SQL runs, formatted as `make format` would."""

import re
from types import SimpleNamespace

import duckdb
import pytest
from sqlfmt.api import Mode, format_string

from ingestion.contract import Contract, Field
from ingestion.first_models import Landed, Model, entry, first_models
from ingestion.sql import Column, Table
from ingestion.stream import State, Stream

WORDS = [word for (word,) in duckdb.sql("select distinct keyword_name from duckdb_keywords() order by 1").fetchall()]
WORDS += ["final_cte", "current_date", "current_timestamp", "minus", "observed_at", "load_id", "row_key", "order_", "x"]
TIME = "TIMESTAMP WITH TIME ZONE"


def landed(table: str, columns: dict[str, str], key: tuple[str, ...] = (), declared: str = "its type") -> Landed:
    """A table that has landed, columns given as name -> type in raw."""
    fields = [Field(f"{name}.", name=name, type=kind, key=name in key, source=name) for name, kind in columns.items()]
    catalog = Table("public", table, tuple(Column(name, declared, kind) for name, kind in columns.items()), key)
    return Landed(Stream(table, Contract("A row.", tuple(fields)), State()), catalog)


def model(table: Landed) -> Model:
    """The model of a table: it runs, its columns need no quotes, and it is formatted already."""
    (model,) = first_models("erp", SimpleNamespace(), [table])
    assert format_string(model.sql, Mode()) == model.sql
    raw = ", ".join(f'cast(null as {field.type}) as "{field.name}"' for field in table.columns)
    sql = re.sub(r"\{\{\s*current_state\(.*?\)\s*\)\s*\}\}", f"select *, {raw} from raw", model.sql, flags=re.S)
    sql = re.sub(r'\{\{ adapter\.quote\("(\w+)"\) \}\}', r'"\1"', re.sub(r"--.*", "", sql))
    names = ", ".join(column.name for column in model.columns)
    with duckdb.connect() as connection:
        connection.execute("create table raw as select 1 as _key, now() as _observed_at, 'load' as _dlt_load_id")
        connection.execute(f"create view model as {sql}")
        first, *_ = connection.execute(f"select {names} from model group by {names}").description
        assert first[0] == model.columns[0].name
    return model


@pytest.mark.parametrize("kind", ["BIGINT", "VARCHAR", "BOOLEAN", TIME])
def test_columns_may_have_any_name(kind):
    names = [column.name for column in model(landed("t", dict.fromkeys(WORDS, kind), declared="numeric")).columns]
    assert len(set(names)) == len(names)
    assert {"order_", "order__", "load_id", "load_id_", "row_key", "row_key_", "x", "name"} <= set(names)


def test_tables_may_have_any_name():
    for word in [*WORDS[::5], "minus", "recursive", "values", "interval", "final_cte", "order"]:
        model(landed(word, {"a": "BOOLEAN"}, ("a",)))


def test_names_may_have_any_length():
    for length in range(1, 135):
        names = [letter * min(length, 64) for letter in "abc"]
        model(landed("t" * length, dict(zip(names, ("BIGINT", TIME, "BOOLEAN"), strict=True)), (names[0],)))


def test_columns_are_grouped_and_cast_as_the_house_does():
    types = {"seen": TIME, "day": "DATE", "local": "TIMESTAMP", "good": "BOOLEAN", "n": "BIGINT", "x": "DOUBLE"}
    types |= {
        "price": "VARCHAR",
        "file": "BLOB",
        "other_id": "DECIMAL(20,0)",
        "half_id": "DECIMAL(3,1)",
        "nr": "BIGINT",
    }
    lines = [column.lines[-1] for column in model(landed("t", types, ("nr",), "numeric")).columns]
    assert lines == [
        "cast(nr as string) as nr",
        "cast(other_id as string) as other_id",
        "price",
        "file",
        "n",
        "x",
        "half_id",
        "good",
        "day",
        "cast(seen as timestamp) as seen",
        "local",
        "cast(_observed_at as timestamp) as observed_at",
        "_dlt_load_id as load_id",
    ]


def test_a_number_that_is_text_says_how_to_compute_with_it():
    (price, *_) = model(landed("t", {"price": "VARCHAR"}, ("price",), "numeric(50,4)")).columns
    assert price.lines[:-1] == [
        "-- numeric(50,4), as text so that no digit is lost. To compute with it,",
        '-- {{ dbt.safe_cast("price", "decimal(38, 9)") }}',
    ]
    for declared in ("text", "numeric[]", "numeric_domain"):
        assert model(landed("t", {"price": "VARCHAR"}, declared=declared)).columns[1].lines == ["price"]


def test_a_key_of_several_columns_is_the_grain_and_keeps_its_numbers():
    made = model(landed("t", {"order_id": "BIGINT", "line": "BIGINT"}, ("order_id", "line")))
    assert [column.lines[0] for column in made.columns[:2]] == ["cast(order_id as string) as order_id", "line"]
    described = entry(made, [made])
    assert described["data_tests"] == [{"unique_grain": {"arguments": {"columns": ["order_id", "line"]}}}]
    assert described["description"] == "A row. Grain: one row per order_id and line that the database still has."
