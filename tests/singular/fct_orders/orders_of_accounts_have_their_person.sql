-- Every account is somebody's, and its orders are that person's.
select orders.order_id, orders.customer_id
from {{ ref("fct_orders") }} as orders
inner join
    {{ ref("dim_customer_accounts") }} as customers
    on orders.customer_id = customers.customer_id
left join
    {{ ref("bridge_customer_identities") }} as identities
    on customers.customer_id = identities.identifier_value
    and identities.identifier_type = 'customer'
    and orders.person_id = identities.person_id
where identities.person_id is null
