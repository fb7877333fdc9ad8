with
    order_items as (select * from {{ ref("int_order_items__unioned") }}),
    costs as (select * from {{ ref("int_order_items__costed") }}),
    refunds as (select * from {{ ref("int_order_items__refunded") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    -- The whole line is converted at its order's day, its refunds too: what comes
    -- back in full leaves no gain
    -- or loss from exchange rates.
    rated_items_cte as (
        select
            order_items.order_item_id,
            order_items.order_id,
            orders.customer_id,
            costs.product_id,
            order_items.source_system,
            order_items.sku,
            order_items.product_name,
            order_items.currency_code,
            orders.base_currency_code,
            order_items.quantity,
            order_items.unit_price,
            order_items.unit_discount,
            cast(
                order_items.quantity
                * (order_items.unit_price - order_items.unit_discount) as decimal(18, 4)
            ) as net_amount,
            refunds.refunded_amount,
            cast(
                order_items.quantity * costs.unit_cost as decimal(18, 4)
            ) as cost_amount,
            {{ rate_to_base("order_items.currency_code", "exchange_rates") }}
            as rate_to_base,
            {{ rate_to_base("costs.cost_currency_code", "cost_rates") }}
            as cost_rate_to_base,
            orders.is_sale,
            orders.order_date,
            orders.ordered_at
        from order_items
        inner join orders on order_items.order_id = orders.order_id
        inner join costs on order_items.order_item_id = costs.order_item_id
        inner join refunds on order_items.order_item_id = refunds.order_item_id
        left join
            exchange_rates
            on order_items.currency_code = exchange_rates.currency_code
            and orders.order_date = exchange_rates.rate_date
        left join
            exchange_rates as cost_rates
            on costs.cost_currency_code = cost_rates.currency_code
            and orders.order_date = cost_rates.rate_date
    ),
    converted_items_cte as (
        select
            *,
            {{ in_base_currency("net_amount", "rate_to_base") }} as net_amount_base,
            {{ in_base_currency("refunded_amount", "rate_to_base") }}
            as refunded_amount_base,
            {{ in_base_currency("cost_amount", "cost_rate_to_base") }}
            as cost_amount_base
        from rated_items_cte
    ),
    final_cte as (
        select
            order_item_id,
            order_id,
            customer_id,
            product_id,
            source_system,
            sku,
            product_name,
            currency_code,
            base_currency_code,
            quantity,
            unit_price,
            unit_discount,
            net_amount,
            refunded_amount,
            net_amount_base,
            refunded_amount_base,
            cost_amount_base,
            case
                when is_sale
                then
                    cast(
                        net_amount_base
                        - refunded_amount_base
                        - cost_amount_base as decimal(18, 4)
                    )
            end as net_margin_amount_base,
            is_sale,
            cost_amount is null as is_cost_missing,
            rate_to_base is null
            or (
                cost_amount is not null and cost_rate_to_base is null
            ) as is_rate_missing,
            order_date,
            ordered_at
        from converted_items_cte
    )

select *
from final_cte
