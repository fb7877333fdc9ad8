with
    budgets as ({{ current_snapshot(source("google_sheets", "marketing_budgets")) }}),
    final_cte as (
        select
            spreadsheet_id,
            declaration as declaration_name,
            sheet as sheet_title,
            {{ clean_text("channel") }} as channel,
            {{ clean_text("campaign") }} as campaign_name,
            {{ clean_text("note") }} as note,
            {{ currency_code("currency") }} as currency_code,
            row_number,
            planned_amount,
            spent_amount,
            cast(date_trunc('month', month) as date) as month_start_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from budgets
    )

select *
from final_cte
