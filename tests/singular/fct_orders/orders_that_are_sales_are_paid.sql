-- In a system that reports payments, what was captured for a sale is what was payable.
select orders.order_id, orders.order_amount, orders.paid_amount
from {{ ref("fct_orders") }} as orders
where
    orders.is_sale
    and orders.paid_amount <> orders.order_amount
    and orders.source_system in (select source_system from {{ ref("fct_payments") }})
