with
    claims as (select * from {{ ref("stg_spreadsheets__claims") }}),
    -- One that is in several files or rows is as the last of them says, by name.
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by claim_number
                order by file_path desc, sheet_title desc, row_number desc
            ) as recency
        from claims
    ),
    final_cte as (
        select
            claim_number,
            'spreadsheets' as source_system,
            device_id as device_name,
            order_number,
            customer_email,
            claim_status,
            opened_date
        from ranked_cte
        where recency = 1
    )

select *
from final_cte
