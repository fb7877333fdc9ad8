with
    targets as ({{ current_snapshot(source("google_sheets", "targets")) }}),
    final_cte as (
        select
            spreadsheet_id,
            declaration as declaration_name,
            sheet as sheet_title,
            lower({{ clean_text("category") }}) as category,
            {{ clean_text("owner") }} as owner_name,
            {{ clean_text("note") }} as note,
            {{ country_code("country") }} as country_code,
            {{ currency_code("currency") }} as currency_code,
            row_number,
            units_target as target_unit_count,
            revenue_target as target_revenue_amount,
            cast(date_trunc('month', month) as date) as month_start_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from targets
    )

select *
from final_cte
