-- Every order of a known person, and what was paid for it, is in the person's timeline
-- once, with its amount; and nothing else is.
with
    orders as (select * from {{ ref("fct_orders") }} where person_id is not null),
    expected as (
        select
            'order placed' as event_kind,
            order_id as record_id,
            person_id,
            order_amount_base as amount_base
        from orders
        union all
        select
            case
                when payments.transaction_type = 'refund'
                then 'refund'
                else 'payment ' || payments.payment_status
            end as event_kind,
            payments.payment_id as record_id,
            orders.person_id,
            payments.payment_amount_base as amount_base
        from {{ ref("fct_payments") }} as payments
        inner join orders on payments.order_id = orders.order_id
    ),
    found as (
        select event_kind, record_id, person_id, amount_base
        from {{ ref("fct_customer_events") }}
        where event_kind in ('order placed', 'refund') or event_kind like 'payment %'
    ),
    counted as (
        select event_kind, record_id, person_id, amount_base, 1 as difference
        from expected
        union all
        select event_kind, record_id, person_id, amount_base, -1 as difference
        from found
    )

select event_kind, record_id, person_id, amount_base, sum(difference) as difference
from counted
group by event_kind, record_id, person_id, amount_base
having sum(difference) <> 0
