"""What a busy shop did to its tables, as change capture has it: every table, and every version that a row ever had."""

from psycopg.conninfo import make_conninfo

from databases.test_capture import Source, source  # noqa: F401
from sandbox.workload import DDL, Workload
from tests.captured import assert_every_version, assert_half_open_history, logs


def working(source: Source, seed: int) -> Workload:  # noqa: F811
    """The shop, whose first rows are loaded."""
    with source.database.connect() as connection:
        conninfo = make_conninfo(**connection.info.get_parameters())
    workload = Workload(conninfo, seed)
    workload.create(rows=100)
    workload.audit()
    for system in ("erp", "twin"):
        source.database.configure(system, tables=[f"{name}*" for name in workload.tables])
    source.run()
    return workload


def test_every_version_of_a_row_is_there_in_its_order(source):  # noqa: F811
    workload = working(source, seed=3)
    for _ in range(3):
        workload.run(1000, has_ddl=False)
        source.run(accept_deletes=True)
    streams = [stream for stream in logs("erp") if stream.name != "suppliers"]  # whose audit has its other key
    assert len(streams) == 8
    assert assert_every_version(source.warehouse.query, source.execute, streams) > 4000
    assert source.warehouse.query("select count(*) from raw_erp.rejected_rows") == [(0,)]
    assert sum(assert_half_open_history(source.warehouse.query, source.execute, stream) for stream in streams) > 2000
    workload.close()


def test_tables_that_change_their_columns_are_equal(source):  # noqa: F811
    workload = working(source, seed=4)
    for _ in range(3):
        workload.run(1500)
        source.run(accept_deletes=True)
        source.is_equal_to_a_full_read(*(stream.name for stream in logs("erp")))
    assert len(DDL.keys() & workload.counts.keys()) > 4
    workload.close()
