with
    orders as (select * from {{ ref("stg_shop__order_sightings") }}),
    refunds as (select * from {{ ref("stg_shop__refund_sightings") }}),
    customers as (select * from {{ ref("stg_shop__customer_sightings") }}),
    actions_cte as (
        select
            'account opened' as action_kind,
            customer_id as action_number,
            customer_id,
            customer_id as user_id,
            cast(null as string) as currency_code,
            cast(null as decimal(18, 4)) as amount,
            created_at as occurred_at,
            observed_at,
            built_in
        from customers
        union all
        select
            'order placed' as action_kind,
            order_id as action_number,
            customer_id,
            cast(null as string) as user_id,
            currency_code,
            order_total as amount,
            ordered_at as occurred_at,
            observed_at,
            built_in
        from orders
        where customer_id is not null
        union all
        select
            'refund' as action_kind,
            refunds.refund_id as action_number,
            orders.customer_id,
            cast(null as string) as user_id,
            refunds.currency_code,
            refunds.amount,
            refunds.refunded_at as occurred_at,
            -- Whose it is, is known with the order.
            greatest(refunds.observed_at, orders.observed_at) as observed_at,
            refunds.built_in || ' ' || orders.built_in as built_in
        from refunds
        inner join orders on refunds.order_id = orders.order_id
        where orders.customer_id is not null
    ),
    final_cte as (
        select
            {{ source_key("shop", "action_number") }} as action_id,
            {{ source_key("shop", "customer_id") }} as customer_id,
            user_id,
            'shop' as source_system,
            action_kind,
            currency_code,
            amount,
            occurred_at,
            observed_at,
            built_in
        from actions_cte
    )

select *
from final_cte
