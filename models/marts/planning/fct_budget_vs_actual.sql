with
    targets as (select * from {{ ref("int_targets__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    order_items as (select * from {{ ref("fct_order_items") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    products as (select * from {{ ref("dim_products") }}),
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    rated_targets_cte as (
        select
            targets.*,
            {{ rate_to_base("targets.currency_code", "exchange_rates") }}
            as rate_to_base
        from targets
        left join
            exchange_rates
            on targets.currency_code = exchange_rates.currency_code
            and targets.target_month = exchange_rates.rate_date
    ),
    budgets_cte as (
        select
            coalesce(country_code, 'unknown') as country_code,
            coalesce(lower(product_category), 'unknown') as product_category,
            count(*) as target_count,
            sum(
                {{ in_base_currency("revenue_target_amount", "rate_to_base") }}
            ) as revenue_target_amount_base,
            sum(units_target) as units_target,
            count(
                case
                    when revenue_target_amount is not null and rate_to_base is null
                    then 1
                end
            )
            > 0 as is_rate_missing,
            target_month as month_start_date
        from rated_targets_cte
        group by
            coalesce(country_code, 'unknown'),
            coalesce(lower(product_category), 'unknown'),
            target_month
    ),
    sales_cte as (
        select
            coalesce(orders.country_code, 'unknown') as country_code,
            coalesce(lower(products.category), 'unknown') as product_category,
            sum(
                order_items.net_amount_base - order_items.refunded_amount_base
            ) as revenue_amount_base,
            sum(order_items.quantity) as units,
            count(case when order_items.net_amount_base is null then 1 end)
            > 0 as is_rate_missing,
            cast(
                date_trunc('month', order_items.order_date) as date
            ) as month_start_date
        from order_items
        inner join orders on order_items.order_id = orders.order_id
        left join products on order_items.product_id = products.product_id
        where order_items.is_sale
        group by
            coalesce(orders.country_code, 'unknown'),
            coalesce(lower(products.category), 'unknown'),
            cast(date_trunc('month', order_items.order_date) as date)
    ),
    compared_cte as (
        select
            coalesce(budgets_cte.country_code, sales_cte.country_code) as country_code,
            coalesce(
                budgets_cte.product_category, sales_cte.product_category
            ) as product_category,
            coalesce(budgets_cte.target_count, 0) as target_count,
            budgets_cte.revenue_target_amount_base,
            coalesce(
                sales_cte.revenue_amount_base,
                case when sales_cte.country_code is null then 0 end
            ) as revenue_amount_base,
            budgets_cte.units_target,
            coalesce(sales_cte.units, 0) as units,
            coalesce(budgets_cte.is_rate_missing, false)
            or coalesce(sales_cte.is_rate_missing, false) as is_rate_missing,
            coalesce(
                budgets_cte.month_start_date, sales_cte.month_start_date
            ) as month_start_date
        from budgets_cte
        full join
            sales_cte
            on budgets_cte.country_code = sales_cte.country_code
            and budgets_cte.product_category = sales_cte.product_category
            and budgets_cte.month_start_date = sales_cte.month_start_date
    ),
    final_cte as (
        select
            compared_cte.country_code,
            compared_cte.product_category,
            '{{ var("base_currency") }}' as base_currency_code,
            cast(compared_cte.target_count as bigint) as target_count,
            cast(
                compared_cte.revenue_target_amount_base as decimal(18, 4)
            ) as revenue_target_amount_base,
            cast(
                compared_cte.revenue_amount_base as decimal(18, 4)
            ) as revenue_amount_base,
            cast(
                compared_cte.revenue_amount_base
                - compared_cte.revenue_target_amount_base as decimal(18, 4)
            ) as revenue_variance_amount_base,
            {{
                ratio(
                    "compared_cte.revenue_amount_base",
                    "compared_cte.revenue_target_amount_base",
                )
            }} as revenue_attainment_ratio,
            cast(compared_cte.units_target as bigint) as units_target,
            cast(compared_cte.units as bigint) as units,
            {{ ratio("compared_cte.units", "compared_cte.units_target") }}
            as units_attainment_ratio,
            compared_cte.is_rate_missing,
            cast({{ local_time("as_of.as_of_at") }} as date) >= cast(
                {{ dbt.dateadd("month", 1, "compared_cte.month_start_date") }} as date
            ) as is_complete,
            compared_cte.month_start_date
        from compared_cte
        cross join as_of
    )

select *
from final_cte
