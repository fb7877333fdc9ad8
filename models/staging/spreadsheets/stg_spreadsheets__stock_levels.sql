with
    stock_levels as ({{ current_snapshot(source("spreadsheets", "stock_levels")) }}),
    final_cte as (
        select
            file_path,
            sheet as sheet_title,
            {{ clean_text("reseller") }} as reseller,
            {{ clean_text("sku") }} as sku,
            {{ clean_text("product_name") }} as product_name,
            {{ clean_text("warehouse") }} as warehouse,
            row_number,
            on_hand as on_hand_quantity,
            reserved as reserved_quantity,
            counted_on as counted_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from stock_levels
    )

select *
from final_cte
