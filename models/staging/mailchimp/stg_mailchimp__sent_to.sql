with
    sent_to as ({{ current_state(source("mailchimp", "sent_to")) }}),
    final_cte as (
        select
            campaign_id,
            email_id,
            nullif(list_id, '') as list_id,
            {{ clean_email("email") }} as email,
            nullif(status, '') as delivery_status,
            nullif(split_group, '') as split_group,
            nullif(merge_fields, '') as merge_fields,
            open_count,
            is_vip,
            cast(last_open_at as timestamp) as last_open_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from sent_to
    )

select *
from final_cte
