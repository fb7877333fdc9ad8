with
    order_lines as (select * from {{ ref("stg_spreadsheets__order_lines") }}),
    final_cte as (
        select
            {{
                source_key(
                    "spreadsheets",
                    "reseller || '/' || order_number || '/' || cast(line_number as string)",
                )
            }}
            as order_item_id,
            {{ source_key("spreadsheets", "reseller || '/' || order_number") }}
            as order_id,
            cast(null as string) as product_id,
            'spreadsheets' as source_system,
            sku,
            product_name,
            currency_code,
            quantity,
            unit_price,
            0 as unit_discount,
            cast(null as decimal(18, 4)) as unit_cost
        from order_lines
    )

select *
from final_cte
