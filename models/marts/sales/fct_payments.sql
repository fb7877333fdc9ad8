with
    payments as (select * from {{ ref("int_payments__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    signed_payments_cte as (
        select
            *,
            case
                when transaction_type = 'refund'
                then - amount
                when payment_status = 'captured'
                then amount
                else 0
            end as settled_amount,
            cast({{ local_time("transacted_at") }} as date) as transaction_date
        from payments
    ),
    rated_payments_cte as (
        select
            signed_payments_cte.*,
            {{ rate_to_base("signed_payments_cte.currency_code", "exchange_rates") }}
            as rate_to_base
        from signed_payments_cte
        left join
            exchange_rates
            on signed_payments_cte.currency_code = exchange_rates.currency_code
            and signed_payments_cte.transaction_date = exchange_rates.rate_date
    ),
    final_cte as (
        select
            payment_id,
            order_id,
            order_item_id,
            refunded_payment_id,
            source_system,
            transaction_type,
            payment_method,
            payment_status,
            currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            amount as payment_amount,
            cast(settled_amount as decimal(18, 4)) as settled_amount,
            {{ in_base_currency("amount", "rate_to_base") }} as payment_amount_base,
            {{ in_base_currency("settled_amount", "rate_to_base") }}
            as settled_amount_base,
            rate_to_base is null as is_rate_missing,
            transaction_date,
            transacted_at
        from rated_payments_cte
    )

select *
from final_cte
