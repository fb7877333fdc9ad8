with
    order_items as (select * from {{ ref("int_order_items__unioned") }}),
    orders as (select * from {{ ref("int_orders__unioned") }}),
    payments as (select * from {{ ref("int_payments__unioned") }}),
    -- The line a refund names, if we still have that line.
    refunds_cte as (
        select payments.order_id, order_items.order_item_id, payments.amount
        from payments
        left join
            order_items
            on payments.order_item_id = order_items.order_item_id
            and payments.order_id = order_items.order_id
        where payments.transaction_type = 'refund'
    ),
    line_refunds_cte as (
        select order_item_id, sum(amount) as refunded_amount
        from refunds_cte
        where order_item_id is not null
        group by order_item_id
    ),
    order_refunds_cte as (
        select order_id, sum(amount) as refunded_amount
        from refunds_cte
        where order_item_id is null
        group by order_id
    ),
    -- A refund of the order pays back lines, tax and shipping alike, each by its
    -- share of the order.
    shares_cte as (
        select
            order_items.order_item_id,
            {{
                money_share(
                    "order_refunds_cte.refunded_amount",
                    "(order_items.unit_price - order_items.unit_discount) * order_items.quantity",
                    "orders.order_amount",
                )
            }}
            as refunded_amount
        from order_items
        inner join orders on order_items.order_id = orders.order_id
        inner join
            order_refunds_cte on order_items.order_id = order_refunds_cte.order_id
    ),
    final_cte as (
        select
            order_items.order_item_id,
            cast(
                coalesce(line_refunds_cte.refunded_amount, 0)
                + coalesce(shares_cte.refunded_amount, 0) as decimal(18, 4)
            ) as refunded_amount
        from order_items
        left join
            line_refunds_cte
            on order_items.order_item_id = line_refunds_cte.order_item_id
        left join shares_cte on order_items.order_item_id = shares_cte.order_item_id
    )

select *
from final_cte
