-- Of an order's refunds the lines carry all but what pays back tax and shipping
-- (rounded to 0.0001 per line).
with
    item_totals_cte as (
        select
            order_id,
            sum(refunded_amount) as refunded_amount,
            count(*) * 0.0001 as tolerance
        from {{ ref("fct_order_items") }}
        group by order_id
    )

select
    orders.order_id,
    orders.refunded_amount,
    item_totals_cte.refunded_amount as lines_amount
from {{ ref("fct_orders") }} as orders
inner join item_totals_cte on orders.order_id = item_totals_cte.order_id
where
    orders.refunded_amount - item_totals_cte.refunded_amount
    < - item_totals_cte.tolerance
    or orders.refunded_amount - item_totals_cte.refunded_amount
    > orders.tax_amount + orders.shipping_amount + item_totals_cte.tolerance
