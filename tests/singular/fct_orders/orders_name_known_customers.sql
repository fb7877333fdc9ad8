-- Whoever ordered is a customer, or was one before the account was deleted.
select orders.order_id, orders.customer_id
from {{ ref("fct_orders") }} as orders
left join
    {{ ref("dim_customer_accounts") }} as customers
    on orders.customer_id = customers.customer_id
left join
    {{ ref("dim_customer_accounts_history") }} as customer_versions
    on orders.customer_id = customer_versions.customer_id
where
    orders.customer_id is not null
    and customers.customer_id is null
    and customer_versions.customer_id is null
