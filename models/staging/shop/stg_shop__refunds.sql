with
    refunds as ({{ current_state(source("shop", "refunds")) }}),
    final_cte as (
        select
            cast(refund_id as string) as refund_id,
            cast(payment_id as string) as payment_id,
            cast(order_id as string) as order_id,
            cast(order_item_id as string) as order_item_id,
            {{ currency_code("currency") }} as currency_code,
            {{ clean_text("reason") }} as reason,
            amount,
            cast(refunded_at as timestamp) as refunded_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from refunds
    )

select *
from final_cte
