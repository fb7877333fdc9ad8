"""A shop that has nothing in common with ours gets into the marts in SQL alone, by the steps of docs/own_shop.md."""

from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest

from tests.copies import Copy
from tests.pages import page, script

# Two customers; five orders, one of a guest; a line per unit; an order paid in two parts; amounts of half a cent.
RAW = """
create schema raw_mercado;
create table raw_mercado.clientes as select * from (values
    ('c0ffee', ' Ana+loja@Example.com ', 'Ana', 'Brasil', '2026-01-01 09:00:00'),
    ('decade', null, 'Bento', 'PT', '2026-01-02 09:00:00')) as rows (cliente_hash, contato, nome, pais, criado);
create table raw_mercado.produtos as select * from (values
    ('ab12', 'CAD-1', 'Cadeira', '120.00'), ('cd34', 'MES-1', 'Mesa', '900.50'))
    as rows (produto_hash, codigo, titulo, preco);
create table raw_mercado.pedidos as select * from (values
    ('f001', 'c0ffee', 'entregue', '2026-02-01 22:30:00'), ('f002', 'c0ffee', 'enviado', '2026-02-03 10:00:00'),
    ('f003', 'decade', 'criado', '2026-02-04 10:00:00'), ('f004', null, 'aprovado', '2026-02-05 10:00:00'),
    ('f005', 'decade', 'cancelado', '2026-02-20 10:00:00')) as rows (pedido_hash, cliente_hash, situacao, comprado);
create table raw_mercado.itens as select * from (values
    ('f001', '1', 'ab12', '118.90', '10.10'), ('f001', '2', 'ab12', '118.90', '10.10'),
    ('f001', '3', 'cd34', '900.50', '0'), ('f002', '1', 'cd34', '900.50', '42.005'),
    ('f003', '1', 'ab12', '120.00', '10'), ('f004', '1', 'ab12', '120.00', '10'),
    ('f005', '1', 'cd34', '900.50', '42'))
    as rows (pedido_hash, numero, produto_hash, preco, frete);
create table raw_mercado.pagamentos as select * from (values
    ('f001', '1', 'vale', '58.50', '2026-02-01 22:31:00'), ('f001', '2', 'pix', '1100.00', '2026-02-01 22:31:00'),
    ('f002', '1', 'pix', '942.505', '2026-02-03 10:01:00'), ('f004', '1', 'pix', '130', '2026-02-05 10:01:00'))
    as rows (pedido_hash, sequencia, meio, valor, pago);
insert into raw_exchange_rates.rates by name
    select 'EUR' as base_currency, 'BRL' as currency, date '2026-02-02' as rate_date, 6.25 as rate,
        '["EUR","2026-02-02","BRL"]' as _key, 1 as _row_hash, 'EUR/2026-02-02' as _scope, 1 as _scope_rows,
        timestamptz '2026-02-02 16:00:00+00' as _observed_at, '1' as _dlt_load_id;
"""


@pytest.fixture
def project(tmp_path):
    """A copy of the project, whose warehouse has our systems' raw tables, empty, and those of the other shop."""
    copy = Copy(tmp_path)
    copy.environment["DBT_WRITE_JSON"] = "false"  # nothing here reads dbt's artifacts
    copy.make_warehouse()
    change(copy, RAW)
    return copy


def change(project, sql):
    with duckdb.connect(str(project.warehouse / "sandbox.duckdb")) as connection:
        connection.execute(sql)


def failure(project, bash):
    """What a command that must fail prints."""
    return project.run(f"if {bash}; then exit 1; fi")


def test_an_unrelated_shop_gets_into_the_marts_in_sql_alone(project):
    project.run(script(page("own_shop.md")))

    orders = project.query(
        "sandbox",
        "select order_id, customer_id, order_amount, order_amount_base, paid_amount, is_sale, order_date, ordered_at"
        " from marts.fct_orders order by order_id",
    )
    # Half past ten in the evening in Sao Paulo is the next day in Berlin; 18 days after the last rate there is none.
    assert orders == [
        ("mercado:f001", "mercado:c0ffee", Decimal("1158.5"), Decimal("185.36"), Decimal("1158.5"), True,
         date(2026, 2, 2), datetime(2026, 2, 2, 1, 30)),
        ("mercado:f002", "mercado:c0ffee", Decimal("942.505"), Decimal("150.8008"), Decimal("942.505"), True,
         date(2026, 2, 3), datetime(2026, 2, 3, 13)),
        ("mercado:f003", "mercado:decade", Decimal(130), Decimal("20.8"), Decimal(0), False,
         date(2026, 2, 4), datetime(2026, 2, 4, 13)),
        ("mercado:f004", None, Decimal(130), Decimal("20.8"), Decimal(130), True,
         date(2026, 2, 5), datetime(2026, 2, 5, 13)),
        ("mercado:f005", "mercado:decade", Decimal("942.5"), None, Decimal(0), False,
         date(2026, 2, 20), datetime(2026, 2, 20, 13)),
    ]  # fmt: skip
    customers = project.query(
        "sandbox",
        "select source_customer_id, email, email_alias_key, country_code, order_count, net_revenue_amount_base"
        " from marts.dim_customer_accounts order by customer_id",
    )
    assert customers == [
        ("c0ffee", "ana+loja@example.com", "ana@example.com", "BR", 2, Decimal("326.208")),
        ("decade", None, None, "PT", 0, Decimal(0)),
    ]

    # The identities hold for this shop too: a payment that went missing is noticed.
    change(project, "delete from raw_mercado.pagamentos where meio = 'vale'")
    assert "orders_that_are_sales_are_paid" in failure(project, "dbt build -s stg_mercado__pagamentos+")

    # A column that a mapping lacks is named.
    mapping = project.root / "models/intermediate/orders/int_orders__from_mercado.sql"
    mapping.write_text(mapping.read_text().replace("'marketplace' as sales_channel,", ""))
    assert "sales_channel" in failure(project, "dbt build -s int_orders__from_mercado int_orders__unioned")
