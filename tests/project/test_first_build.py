"""What every model has to keep, and only a warehouse tells in which all of them are built, be it of no rows."""

import duckdb
import pytest

JOINED_WITH_ONE_ROW = {"fct_freshness"}


@pytest.fixture(scope="module")
def built(dbt):
    """What dbt says of a first build, of no rows, with the unit tests, which the default selector leaves out."""
    return dbt.run("dbt build --full-refresh --select 'fqn:*'")


@pytest.fixture(scope="module")
def warehouse(dbt, built):
    """The warehouse after it."""
    return dbt.warehouse / "sandbox.duckdb"


def test_all_models_build_of_no_rows_and_their_unit_tests_pass(manifest, built):
    assert f"{len(manifest['unit_tests'])} unit tests" in built


def test_every_column_of_every_model_is_described(models, warehouse):
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute("select table_name, column_name from information_schema.columns").fetchall()
    for name, model in models.items():
        described = {column["name"] for column in model["columns"].values() if column["description"].strip()}
        assert described == {column for table, column in rows if table == name}, name


def test_no_join_compares_every_row_with_every_other(models, dbt, warehouse):
    """As DuckDB does where a condition of an outer join is no comparison (has an `or`): quadratic in the rows."""

    def quadratic() -> set[str]:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            paths = {name: dbt.target / "compiled/catchment" / models[name]["original_file_path"] for name in models}
            plans = {name: connection.execute(f"explain {paths[name].read_text()}").fetchall() for name in paths}
            return {name for name, plan in plans.items() if "BLOCKWISE_NL_JOIN" in plan[0][1]}

    assert quadratic() <= JOINED_WITH_ONE_ROW
    dbt.run("dbt run --select config.materialized:incremental")  # now they are; the others are what they were
    assert quadratic() <= JOINED_WITH_ONE_ROW
