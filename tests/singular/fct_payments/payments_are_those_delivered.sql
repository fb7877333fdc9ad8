-- The shop's payments and refunds are all there: count and sum per kind, status and
-- currency.
with
    expected_cte as (
        select
            'payment' as transaction_type,
            payment_status,
            currency_code,
            count(*) as payment_count,
            cast(sum(amount) as decimal(38, 4)) as payment_amount
        from {{ ref("stg_shop__payments") }}
        group by payment_status, currency_code
        union all
        select
            'refund' as transaction_type,
            'refunded' as payment_status,
            currency_code,
            count(*) as payment_count,
            cast(sum(amount) as decimal(38, 4)) as payment_amount
        from {{ ref("stg_shop__refunds") }}
        group by currency_code
    ),
    actual_cte as (
        select
            transaction_type,
            payment_status,
            currency_code,
            count(*) as payment_count,
            cast(sum(payment_amount) as decimal(38, 4)) as payment_amount
        from {{ ref("fct_payments") }}
        where source_system = 'shop'
        group by transaction_type, payment_status, currency_code
    )

    {{ differing_rows() }}
