"""dbt's models of a table whose changes are captured: what scaffold writes, and a history of one macro."""

from databases.test_capture import source  # noqa: F401
from databases.test_scaffold import project, scaffold  # noqa: F401

HISTORY = """
select order_id, status, _valid_from as valid_from, _valid_to as valid_to
from ({{ log_versions(source("erp", "orders")) }}) as versions
"""


def test_current_rows_and_their_history(source, warehouse, project, capsys):  # noqa: F811
    source.create("""
        create table orders (order_id int primary key, status text);
        insert into orders values (1, 'new'), (2, 'new');
    """)
    source.run()
    source.execute("update orders set status = 'paid' where order_id = 1")
    source.execute("begin; update orders set status = 'lost'; update orders set status = 'sent'; commit")
    source.execute("delete from orders where order_id = 2; insert into orders values (3, 'new')")
    source.run()
    scaffold(capsys)
    (project.folder / "stg_erp__orders_history.sql").write_text(HISTORY)
    project.run("dbt", "build", "--select", "staging.erp")
    assert warehouse.query("select order_id, status from staging.stg_erp__orders order by 1") == [
        ("1", "sent"),
        ("3", "new"),
    ]
    rows = warehouse.query("""
        select order_id, status, valid_from = lag(valid_to) over (partition by order_id order by valid_from),
            valid_to is null
        from staging.stg_erp__orders_history order by order_id, valid_from
    """)
    assert rows == [
        (1, "new", None, False),
        (1, "paid", True, False),
        (1, "sent", True, True),
        (2, "new", None, False),
        (2, "sent", True, False),
        (3, "new", None, True),
    ]
