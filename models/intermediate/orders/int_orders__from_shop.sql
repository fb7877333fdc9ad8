with
    orders as (select * from {{ ref("stg_shop__orders") }}),
    order_items as (select * from {{ ref("stg_shop__order_items") }}),
    addresses as (select * from {{ ref("stg_shop__addresses") }}),
    customers as (select * from {{ ref("stg_shop__customers") }}),
    -- From the lines, not from the order's totals, so that the two can be held
    -- against each other.
    item_totals_cte as (
        select order_id, sum(quantity * unit_price) as items_amount
        from order_items
        group by order_id
    ),
    final_cte as (
        select
            {{ source_key("shop", "orders.order_id") }} as order_id,
            {{ source_key("shop", "orders.customer_id") }} as customer_id,
            'shop' as source_system,
            orders.order_id as source_order_id,
            orders.order_number,
            orders.order_status,
            'web_shop' as sales_channel,
            cast(null as string) as reseller,
            orders.currency_code,
            coalesce(
                shipping_addresses.country_code,
                billing_addresses.country_code,
                customers.country_code
            ) as country_code,
            coalesce(item_totals_cte.items_amount, 0) as items_amount,
            orders.discount_total as discount_amount,
            orders.shipping_total as shipping_amount,
            orders.tax_total as tax_amount,
            orders.order_total as order_amount,
            cast({{ local_time("orders.ordered_at") }} as date) as order_date,
            orders.ordered_at
        from orders
        left join item_totals_cte on orders.order_id = item_totals_cte.order_id
        left join customers on orders.customer_id = customers.customer_id
        left join
            addresses as shipping_addresses
            on orders.shipping_address_id = shipping_addresses.address_id
        left join
            addresses as billing_addresses
            on orders.billing_address_id = billing_addresses.address_id
    )

select *
from final_cte
