-- The shop's and the resellers' orders are all there and nothing else of theirs is:
-- count and sum per currency.
with
    expected_orders_cte as (
        select 'shop' as source_system, currency_code, order_total as order_amount
        from {{ ref("stg_shop__orders") }}
        union all
        select
            'spreadsheets' as source_system,
            currency_code,
            sum(quantity * unit_price + tax_amount + shipping_amount) as order_amount
        from {{ ref("stg_spreadsheets__order_lines") }}
        group by reseller, order_number, currency_code
    ),
    expected_cte as (
        select
            source_system,
            currency_code,
            count(*) as order_count,
            cast(sum(order_amount) as decimal(38, 4)) as order_amount
        from expected_orders_cte
        group by source_system, currency_code
    ),
    actual_cte as (
        select
            source_system,
            currency_code,
            count(*) as order_count,
            cast(sum(order_amount) as decimal(38, 4)) as order_amount
        from {{ ref("fct_orders") }}
        where source_system in ('shop', 'spreadsheets')
        group by source_system, currency_code
    )

    {{ differing_rows() }}
