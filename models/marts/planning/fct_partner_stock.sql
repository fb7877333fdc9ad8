with
    stock_levels as (select * from {{ ref("int_stock_levels__unioned") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    order_items as (select * from {{ ref("fct_order_items") }}),
    products as (select * from {{ ref("dim_products") }}),
    skus_cte as ({{ unshared("products", "sku", ["product_id", "category"]) }}),
    located_cte as (
        select
            report_id,
            stock_holder,
            coalesce(warehouse, 'unknown') as warehouse,
            sku,
            product_name,
            on_hand_quantity,
            reserved_quantity,
            max(report_id) over (
                partition by
                    stock_holder, coalesce(warehouse, 'unknown'), sku, counted_date
            ) as last_report_id,
            counted_date
        from stock_levels
    ),
    counts_cte as (
        select
            stock_holder,
            warehouse,
            sku,
            max(product_name) as product_name,
            sum(on_hand_quantity) as on_hand_quantity,
            sum(reserved_quantity) as reserved_quantity,
            counted_date
        from located_cte
        where report_id = last_report_id
        group by stock_holder, warehouse, sku, counted_date
    ),
    holdings_cte as (
        select
            stock_holder, sku, sum(on_hand_quantity) as on_hand_quantity, counted_date
        from counts_cte
        group by stock_holder, sku, counted_date
    ),
    sold_cte as (
        select
            orders.reseller,
            order_items.sku,
            sum(order_items.quantity) as quantity,
            orders.order_date
        from order_items
        inner join orders on order_items.order_id = orders.order_id
        where orders.is_sale and orders.reseller is not null
        group by orders.reseller, order_items.sku, orders.order_date
    ),
    demand_cte as (
        select
            holdings_cte.stock_holder,
            holdings_cte.sku,
            max(holdings_cte.on_hand_quantity) as on_hand_quantity,
            coalesce(sum(sold_cte.quantity), 0) as sold_quantity,
            holdings_cte.counted_date
        from holdings_cte
        left join
            sold_cte
            on holdings_cte.stock_holder = sold_cte.reseller
            and holdings_cte.sku = sold_cte.sku
            and sold_cte.order_date < holdings_cte.counted_date
            and sold_cte.order_date >= cast(
                {{
                    dbt.dateadd(
                        "day",
                        "-" ~ var("stock_demand_days"),
                        "holdings_cte.counted_date",
                    )
                }} as date
            )
        group by holdings_cte.stock_holder, holdings_cte.sku, holdings_cte.counted_date
    ),
    final_cte as (
        select
            counts_cte.stock_holder,
            counts_cte.warehouse,
            counts_cte.sku,
            skus_cte.product_id,
            counts_cte.product_name,
            skus_cte.category as product_category,
            cast(counts_cte.on_hand_quantity as bigint) as on_hand_quantity,
            cast(counts_cte.reserved_quantity as bigint) as reserved_quantity,
            cast(
                counts_cte.on_hand_quantity
                - coalesce(counts_cte.reserved_quantity, 0) as bigint
            ) as available_quantity,
            cast(demand_cte.sold_quantity as bigint) as sold_quantity,
            {{
                ratio(
                    "demand_cte.on_hand_quantity * " ~ var("stock_demand_days"),
                    "demand_cte.sold_quantity",
                )
            }} as days_of_stock,
            counts_cte.counted_date = max(counts_cte.counted_date) over (
                partition by counts_cte.stock_holder
            ) as is_newest,
            counts_cte.counted_date
        from counts_cte
        inner join
            demand_cte
            on counts_cte.stock_holder = demand_cte.stock_holder
            and counts_cte.sku = demand_cte.sku
            and counts_cte.counted_date = demand_cte.counted_date
        left join skus_cte on counts_cte.sku = skus_cte.sku
    )

select *
from final_cte
