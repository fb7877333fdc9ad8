-- Every sale of somebody known is one person's, with all that its lines brought: no
-- order is lost, and none counts twice.
with
    known_cte as (
        select orders.order_id
        from {{ ref("fct_orders") }} as orders
        where orders.is_sale and orders.person_id is not null
    ),
    expected_cte as (
        select
            (select count(*) from known_cte) as order_count,
            coalesce(
                sum(order_items.net_amount_base - order_items.refunded_amount_base), 0
            ) as net_revenue_amount_base,
            coalesce(
                sum(order_items.net_margin_amount_base), 0
            ) as lifetime_value_amount_base
        from known_cte
        inner join
            {{ ref("fct_order_items") }} as order_items
            on known_cte.order_id = order_items.order_id
    ),
    actual_cte as (
        select
            coalesce(sum(order_count), 0) as order_count,
            coalesce(sum(net_revenue_amount_base), 0) as net_revenue_amount_base,
            coalesce(sum(lifetime_value_amount_base), 0) as lifetime_value_amount_base
        from {{ ref("fct_customer_value") }}
    )

    {{ differing_rows() }}
