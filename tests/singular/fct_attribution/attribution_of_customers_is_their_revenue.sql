-- By every model customers have brought what dim_customer_accounts says that they did.
with
    credits as (
        select
            orders.customer_id,
            attribution.attribution_model,
            sum(attribution.credited_revenue_amount_base) as amount_base
        from {{ ref("fct_attribution") }} as attribution
        inner join
            {{ ref("fct_orders") }} as orders on attribution.order_id = orders.order_id
        group by orders.customer_id, attribution.attribution_model
    )

select customers.customer_id, credits.*
from {{ ref("dim_customer_accounts") }} as customers
inner join credits on customers.customer_id = credits.customer_id
where coalesce(customers.net_revenue_amount_base, 0) <> coalesce(credits.amount_base, 0)
