-- An order's lines carry its amounts: none lost, none doubled, none of another
-- currency.
with
    item_totals_cte as (
        select
            order_id,
            currency_code,
            count(*) as item_count,
            sum(quantity * unit_price) as items_amount,
            sum(quantity * unit_discount) as discount_amount
        from {{ ref("fct_order_items") }}
        group by order_id, currency_code
    )

select
    orders.order_id, orders.items_amount, item_totals_cte.items_amount as lines_amount
from {{ ref("fct_orders") }} as orders
left join
    item_totals_cte
    on orders.order_id = item_totals_cte.order_id
    and orders.currency_code = item_totals_cte.currency_code
where
    orders.item_count <> coalesce(item_totals_cte.item_count, 0)
    or orders.items_amount <> coalesce(item_totals_cte.items_amount, 0)
    or orders.discount_amount <> coalesce(item_totals_cte.discount_amount, 0)
