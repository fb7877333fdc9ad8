with
    targets as (select * from {{ ref("stg_google_sheets__targets") }}),
    final_cte as (
        select
            {{
                source_key(
                    "google_sheets",
                    "spreadsheet_id || '/' || sheet || '/' || row_number",
                )
            }} as target_id,
            'google_sheets' as source_system,
            currency_code,
            country_code,
            product_category,
            target_owner,
            revenue_target_amount,
            units_target,
            target_month
        from targets
    )

select *
from final_cte
