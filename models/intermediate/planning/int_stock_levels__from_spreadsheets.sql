with
    stock_levels as (select * from {{ ref("stg_spreadsheets__stock_levels") }}),
    final_cte as (
        select
            {{
                source_key(
                    "spreadsheets",
                    "file_path || '/' || sheet_title || '/' || row_number",
                )
            }} as stock_level_id,
            'spreadsheets' as source_system,
            file_path as report_id,
            reseller as stock_holder,
            warehouse,
            sku,
            product_name,
            on_hand_quantity,
            reserved_quantity,
            counted_date
        from stock_levels
    )

select *
from final_cte
