with
    payments as ({{ current_state(source("shop", "payments")) }}),
    final_cte as (
        select
            cast(payment_id as string) as payment_id,
            cast(order_id as string) as order_id,
            payment_method,
            payment_status,
            {{ currency_code("currency") }} as currency_code,
            {{ clean_text("provider_reference") }} as provider_reference,
            amount,
            cast(paid_at as timestamp) as paid_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from payments
    )

select *
from final_cte
