with
    email_events as (select * from {{ ref("int_email_events__flagged") }}),
    final_cte as (
        select
            event_id,
            campaign_id,
            audience_id,
            contact_id,
            source_system,
            event_type,
            bounce_type,
            unsubscribe_reason,
            url,
            is_privacy_open,
            is_bot_click,
            cast({{ local_time("occurred_at") }} as date) as event_date,
            occurred_at
        from email_events
    )

select *
from final_cte
