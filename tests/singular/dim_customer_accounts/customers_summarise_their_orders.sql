-- A customer's sales are all counted; revenue is items less discounts, less no more
-- than was refunded.
with
    sales_cte as (
        select
            orders.customer_id,
            count(*) as order_count,
            sum(orders.items_amount_base - orders.discount_amount_base) as amount_base,
            sum(orders.item_count) * 0.0002 as tolerance,
            sum(orders.refunded_amount_base) as refunded_amount_base
        from {{ ref("fct_orders") }} as orders
        where orders.is_sale
        group by orders.customer_id
    )

select customers.customer_id, customers.order_count, customers.net_revenue_amount_base
from {{ ref("dim_customer_accounts") }} as customers
left join sales_cte on customers.customer_id = sales_cte.customer_id
where
    customers.order_count <> coalesce(sales_cte.order_count, 0)
    or customers.net_revenue_amount_base > sales_cte.amount_base + sales_cte.tolerance
    or customers.net_revenue_amount_base
    < sales_cte.amount_base - sales_cte.refunded_amount_base - sales_cte.tolerance
