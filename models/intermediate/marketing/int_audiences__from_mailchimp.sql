with
    lists as (select * from {{ ref("stg_mailchimp__lists") }}),
    final_cte as (
        select
            {{ source_key("mailchimp", "list_id") }} as audience_id,
            'mailchimp' as source_system,
            list_id as source_audience_id,
            list_name as audience_name,
            created_at
        from lists
    )

select *
from final_cte
