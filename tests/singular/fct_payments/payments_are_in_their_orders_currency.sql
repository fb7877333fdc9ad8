select
    payments.payment_id,
    payments.currency_code,
    orders.currency_code as order_currency_code
from {{ ref("fct_payments") }} as payments
inner join {{ ref("fct_orders") }} as orders on payments.order_id = orders.order_id
where payments.currency_code <> orders.currency_code
