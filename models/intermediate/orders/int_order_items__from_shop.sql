with
    order_items as (select * from {{ ref("stg_shop__order_items") }}),
    orders as (select * from {{ ref("stg_shop__orders") }}),
    products as (select * from {{ ref("int_products__from_shop") }}),
    final_cte as (
        select
            {{ source_key("shop", "order_items.order_item_id") }} as order_item_id,
            {{ source_key("shop", "order_items.order_id") }} as order_id,
            {{ source_key("shop", "order_items.product_id") }} as product_id,
            'shop' as source_system,
            products.sku,
            products.product_name,
            orders.currency_code,
            order_items.quantity,
            order_items.unit_price,
            order_items.unit_discount,
            cast(null as decimal(18, 4)) as unit_cost
        from order_items
        left join orders on order_items.order_id = orders.order_id
        left join products on order_items.product_id = products.source_product_id
    )

select *
from final_cte
