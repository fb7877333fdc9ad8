with
    unsubscribes as ({{ current_state(source("mailchimp", "unsubscribes")) }}),
    final_cte as (
        select
            campaign_id,
            email_id,
            nullif(list_id, '') as list_id,
            {{ clean_email("email") }} as email,
            {{ clean_text("reason") }} as unsubscribe_reason,
            nullif(merge_fields, '') as merge_fields,
            is_vip,
            cast(unsubscribed_at as timestamp) as unsubscribed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from unsubscribes
    )

select *
from final_cte
