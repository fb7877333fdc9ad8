{{
    config(
        materialized="incremental",
        unique_key="order_id",
        pre_hook=[
            "{{ take_stock(source('shop', 'orders'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(unmarked(source('shop', 'orders')), 'order_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    orders as (
        {{
            current_event(
                unsighted_rows(unmarked(source("shop", "orders")), "order_id")
            )
        }}
    ),
    final_cte as (
        select
            cast(order_id as string) as order_id,
            cast(customer_id as string) as customer_id,
            {{ currency_code("currency") }} as currency_code,
            order_total,
            cast(ordered_at as timestamp) as ordered_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from orders
    )

select *
from final_cte
