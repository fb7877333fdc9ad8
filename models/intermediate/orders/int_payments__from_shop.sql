with
    payments as (select * from {{ ref("stg_shop__payments") }}),
    refunds as (select * from {{ ref("stg_shop__refunds") }}),
    transactions_cte as (
        select
            payment_id,
            order_id,
            cast(null as string) as order_item_id,
            cast(null as string) as refunded_payment_id,
            'payment' as transaction_type,
            payment_method,
            payment_status,
            currency_code,
            amount,
            coalesce(paid_at, updated_at) as transacted_at
        from payments
        union all
        select
            'refund-' || refunds.refund_id as payment_id,
            refunds.order_id,
            refunds.order_item_id,
            refunds.payment_id as refunded_payment_id,
            'refund' as transaction_type,
            payments.payment_method,
            'refunded' as payment_status,
            refunds.currency_code,
            refunds.amount,
            refunds.refunded_at as transacted_at
        from refunds
        left join payments on refunds.payment_id = payments.payment_id
    ),
    final_cte as (
        select
            {{ source_key("shop", "payment_id") }} as payment_id,
            {{ source_key("shop", "order_id") }} as order_id,
            {{ source_key("shop", "order_item_id") }} as order_item_id,
            {{ source_key("shop", "refunded_payment_id") }} as refunded_payment_id,
            'shop' as source_system,
            transaction_type,
            payment_method,
            payment_status,
            currency_code,
            amount,
            transacted_at
        from transactions_cte
    )

select *
from final_cte
