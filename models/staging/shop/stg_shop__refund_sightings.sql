{{
    config(
        materialized="incremental",
        unique_key="refund_id",
        pre_hook=[
            "{{ take_stock(source('shop', 'refunds'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(unmarked(source('shop', 'refunds')), 'refund_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    refunds as (
        {{
            current_event(
                unsighted_rows(unmarked(source("shop", "refunds")), "refund_id")
            )
        }}
    ),
    final_cte as (
        select
            cast(refund_id as string) as refund_id,
            cast(order_id as string) as order_id,
            {{ currency_code("currency") }} as currency_code,
            amount,
            cast(refunded_at as timestamp) as refunded_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from refunds
    )

select *
from final_cte
