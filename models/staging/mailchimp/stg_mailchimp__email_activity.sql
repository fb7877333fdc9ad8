{{
    config(
        materialized="incremental",
        unique_key="activity_id",
        pre_hook="{{ forget_outdated_rows(source('mailchimp', 'email_activity'), 'activity_id') }}",
    )
}}

with
    email_activity as (
        {{
            current_event(
                undecided_rows(source("mailchimp", "email_activity"), "activity_id")
            )
        }}
    ),
    final_cte as (
        select
            _key as activity_id,
            campaign_id,
            email_id,
            nullif(list_id, '') as list_id,
            {{ clean_email("email") }} as email,
            nullif(action, '') as action,
            nullif(bounce_type, '') as bounce_type,
            nullif(url, '') as url,
            nullif(ip, '') as ip,
            occurrence,
            _row_count as raw_row_count,
            cast(occurred_at as timestamp) as occurred_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from email_activity
    )

select *
from final_cte
