with
    order_items as (select * from {{ ref("int_order_items__unioned") }}),
    orders as (select * from {{ ref("int_orders__unioned") }}),
    products as (select * from {{ ref("int_products__unioned") }}),
    product_versions as (select * from {{ ref("int_product_versions__unioned") }}),
    skus_cte as ({{ unshared("products", "sku", ["product_id"]) }}),
    matched_items_cte as (
        select
            order_items.order_item_id,
            coalesce(order_items.product_id, skus_cte.product_id) as product_id,
            order_items.currency_code,
            order_items.unit_cost,
            coalesce(orders.ordered_at, cast(orders.order_date as timestamp)) as sold_at
        from order_items
        inner join orders on order_items.order_id = orders.order_id
        left join skus_cte on order_items.sku = skus_cte.sku
    ),
    -- A cost holds until the next one is known; the first one holds for the time
    -- before it as well.
    costs_cte as (
        select
            product_id,
            currency_code,
            unit_cost,
            case
                when
                    row_number() over (
                        partition by product_id order by changed_at nulls first
                    )
                    = 1
                then cast('0001-01-01' as timestamp)
                else changed_at
            end as valid_from,
            lead(changed_at, 1, cast('9999-12-31' as timestamp)) over (
                partition by product_id order by changed_at nulls first
            ) as valid_to
        from product_versions
        where unit_cost is not null and not is_gone
    ),
    final_cte as (
        select
            matched_items_cte.order_item_id,
            matched_items_cte.product_id,
            case
                when matched_items_cte.unit_cost is not null
                then matched_items_cte.currency_code
                when costs_cte.unit_cost is not null
                then costs_cte.currency_code
                else products.currency_code
            end as cost_currency_code,
            coalesce(
                matched_items_cte.unit_cost, costs_cte.unit_cost, products.unit_cost
            ) as unit_cost
        from matched_items_cte
        left join products on matched_items_cte.product_id = products.product_id
        left join
            costs_cte
            on matched_items_cte.product_id = costs_cte.product_id
            and costs_cte.valid_from <= matched_items_cte.sold_at
            and costs_cte.valid_to > matched_items_cte.sold_at
    )

select *
from final_cte
