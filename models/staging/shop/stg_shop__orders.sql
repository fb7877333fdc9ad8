{{
    config(
        materialized="incremental",
        unique_key="order_id",
        pre_hook="{{ forget_outdated_rows(source('shop', 'orders'), 'order_id') }}",
    )
}}

with
    orders as (
        {{ current_state(undecided_rows(source("shop", "orders"), "order_id")) }}
    ),
    final_cte as (
        select
            cast(order_id as string) as order_id,
            cast(customer_id as string) as customer_id,
            cast(billing_address_id as string) as billing_address_id,
            cast(shipping_address_id as string) as shipping_address_id,
            {{ clean_text("order_number") }} as order_number,
            order_status,
            {{ currency_code("currency") }} as currency_code,
            {{ clean_text("coupon_code") }} as coupon_code,
            discount_total,
            shipping_total,
            tax_total,
            order_total,
            _row_count as raw_row_count,
            cast(ordered_at as timestamp) as ordered_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from orders
    )

select *
from final_cte
