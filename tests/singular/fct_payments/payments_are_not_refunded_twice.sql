-- No payment is paid back that was not captured, nor more of it; and so of the order
-- as a whole.
with
    refunds_cte as (
        select refunded_payment_id, sum(payment_amount) as refunded_amount
        from {{ ref("fct_payments") }}
        where refunded_payment_id is not null
        group by refunded_payment_id
    )

select refunds_cte.refunded_payment_id as problem_id, refunds_cte.refunded_amount
from refunds_cte
left join
    {{ ref("fct_payments") }} as payments
    on refunds_cte.refunded_payment_id = payments.payment_id
    and payments.payment_status = 'captured'
where refunds_cte.refunded_amount > coalesce(payments.payment_amount, 0)
union all
select order_id as problem_id, refunded_amount
from {{ ref("fct_orders") }}
where refunded_amount > paid_amount
