with
    targets as (select * from {{ ref("stg_google_sheets__targets") }}),
    final_cte as (
        select
            {{ source_key("google_sheets", "declaration_name || '/' || row_number") }}
            as target_id,
            'google_sheets' as source_system,
            currency_code,
            country_code,
            category as product_category,
            owner_name as target_owner,
            target_revenue_amount as revenue_target_amount,
            target_unit_count as units_target,
            month_start_date as target_month
        from targets
    )

select *
from final_cte
