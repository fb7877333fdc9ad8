{{
    config(
        materialized="incremental",
        unique_key="order_item_id",
        pre_hook="{{ forget_outdated_rows(source('shop', 'order_items'), 'order_item_id') }}",
    )
}}

with
    order_items as (
        {{
            current_state(
                undecided_rows(source("shop", "order_items"), "order_item_id")
            )
        }}
    ),
    final_cte as (
        select
            cast(order_item_id as string) as order_item_id,
            cast(order_id as string) as order_id,
            cast(product_id as string) as product_id,
            quantity,
            unit_price,
            unit_discount,
            _row_count as raw_row_count,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from order_items
    )

select *
from final_cte
