with
    subscriptions as ({{ current_state(source("shop", "subscriptions")) }}),
    final_cte as (
        select
            cast(subscription_id as string) as subscription_id,
            cast(customer_id as string) as customer_id,
            cast(product_id as string) as product_id,
            subscription_status,
            {{ currency_code("currency") }} as currency_code,
            quantity,
            interval_days,
            unit_price,
            next_order_date,
            cast(started_at as timestamp) as started_at,
            cast(cancelled_at as timestamp) as cancelled_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from subscriptions
    )

select *
from final_cte
