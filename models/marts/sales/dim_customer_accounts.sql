with
    customers as (select * from {{ ref("int_customers__unioned") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    order_items as (select * from {{ ref("fct_order_items") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    order_totals_cte as (
        select
            customer_id,
            count(*) as order_count,
            min(order_date) as first_order_date,
            max(order_date) as last_order_date
        from orders
        where is_sale
        group by customer_id
    ),
    item_totals_cte as (
        select
            customer_id,
            sum(net_amount_base - refunded_amount_base) as net_revenue_amount_base,
            bool_or(net_amount_base is null) as is_rate_missing
        from order_items
        where is_sale
        group by customer_id
    ),
    final_cte as (
        select
            customers.customer_id,
            persons.person_id,
            customers.source_system,
            customers.source_customer_id,
            customers.email,
            customers.email_alias_key,
            customers.phone,
            customers.first_name,
            customers.last_name,
            customers.company_name,
            customers.country_code,
            '{{ var("base_currency") }}' as base_currency_code,
            coalesce(order_totals_cte.order_count, 0) as order_count,
            cast(
                case
                    when item_totals_cte.customer_id is null
                    then 0
                    else item_totals_cte.net_revenue_amount_base
                end as decimal(18, 4)
            ) as net_revenue_amount_base,
            customers.is_business,
            customers.has_marketing_consent,
            coalesce(item_totals_cte.is_rate_missing, false) as is_rate_missing,
            order_totals_cte.first_order_date,
            order_totals_cte.last_order_date,
            customers.created_at,
            customers.updated_at
        from customers
        left join
            order_totals_cte on customers.customer_id = order_totals_cte.customer_id
        left join item_totals_cte on customers.customer_id = item_totals_cte.customer_id
        left join
            persons
            on persons.identifier_type = 'customer'
            and customers.customer_id = persons.identifier_value
            and persons.valid_to is null
    )

select *
from final_cte
