{%- set fifths = {
    "recency_fifth": "-recency_days",
    "frequency_fifth": "order_count",
    "monetary_fifth": "net_revenue_amount_base",
} -%}

with
    orders as (select * from {{ ref("fct_orders") }}),
    order_items as (select * from {{ ref("fct_order_items") }}),
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    -- (null if nothing was ever loaded)
    today_cte as (
        select cast({{ local_time("max(as_of_at)") }} as date) as today_date from as_of
    ),
    sales_cte as (
        select person_id, order_id, order_date
        from orders
        where is_sale and person_id is not null
    ),
    order_totals_cte as (
        select
            person_id,
            count(*) as order_count,
            count(distinct order_date) as purchase_day_count,
            min(order_date) as first_order_date,
            max(order_date) as last_order_date
        from sales_cte
        group by person_id
    ),
    item_totals_cte as (
        select
            sales_cte.person_id,
            sum(
                order_items.net_amount_base - order_items.refunded_amount_base
            ) as net_revenue_amount_base,
            sum(order_items.net_margin_amount_base) as lifetime_value_amount_base,
            bool_or(order_items.is_rate_missing) as is_rate_missing,
            bool_or(order_items.is_cost_missing) as is_cost_missing
        from sales_cte
        inner join order_items on sales_cte.order_id = order_items.order_id
        group by sales_cte.person_id
    ),
    measured_cte as (
        select
            order_totals_cte.person_id,
            order_totals_cte.order_count,
            order_totals_cte.first_order_date,
            order_totals_cte.last_order_date,
            -- An order without lines brought nothing.
            case
                when item_totals_cte.person_id is null
                then 0
                else item_totals_cte.net_revenue_amount_base
            end as net_revenue_amount_base,
            case
                when item_totals_cte.person_id is null
                then 0
                else item_totals_cte.lifetime_value_amount_base
            end as lifetime_value_amount_base,
            coalesce(item_totals_cte.is_rate_missing, false) as is_rate_missing,
            coalesce(item_totals_cte.is_cost_missing, false) as is_cost_missing,
            {{
                dbt.datediff(
                    "order_totals_cte.last_order_date",
                    "today_cte.today_date",
                    "day",
                )
            }} as recency_days,
            order_totals_cte.purchase_day_count - 1 as repeat_purchase_days,
            {{
                dbt.datediff(
                    "order_totals_cte.first_order_date",
                    "order_totals_cte.last_order_date",
                    "day",
                )
            }} as repeat_recency_days,
            {{
                dbt.datediff(
                    "order_totals_cte.first_order_date",
                    "today_cte.today_date",
                    "day",
                )
            }} as observed_days
        from order_totals_cte
        cross join today_cte
        left join
            item_totals_cte on order_totals_cte.person_id = item_totals_cte.person_id
    ),
    final_cte as (
        select
            person_id,
            '{{ var("base_currency") }}' as base_currency_code,
            order_count,
            cast(net_revenue_amount_base as decimal(18, 4)) as net_revenue_amount_base,
            cast(
                lifetime_value_amount_base as decimal(18, 4)
            ) as lifetime_value_amount_base,
            recency_days,
            {% for fifth, measure in fifths.items() %}
                case
                    when {{ measure }} is not null
                    then
                        cast(
                            ntile(5) over (
                                partition by {{ measure }} is null
                                order by
                                    {{ measure }} nulls first, person_id nulls first
                            ) as bigint
                        )
                end as {{ fifth }},
            {% endfor %}
            repeat_purchase_days,
            repeat_recency_days,
            observed_days,
            is_rate_missing,
            is_cost_missing,
            first_order_date,
            last_order_date
        from measured_cte
    )

select *
from final_cte
