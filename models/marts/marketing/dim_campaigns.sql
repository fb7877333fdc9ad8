with
    campaigns as (select * from {{ ref("int_campaigns__unioned") }}),
    audiences as (select * from {{ ref("int_audiences__unioned") }}),
    final_cte as (
        select
            campaigns.campaign_id,
            campaigns.parent_campaign_id,
            campaigns.audience_id,
            campaigns.source_system,
            campaigns.source_campaign_id,
            audiences.audience_name,
            campaigns.campaign_type,
            campaigns.campaign_status,
            campaigns.campaign_title,
            campaigns.subject_line,
            campaigns.preview_text,
            campaigns.from_name,
            campaigns.reply_to,
            campaigns.segment_text,
            campaigns.is_sent,
            campaigns.is_deleted,
            cast({{ local_time("campaigns.sent_at") }} as date) as sent_date,
            campaigns.created_at,
            campaigns.scheduled_at,
            campaigns.sent_at
        from campaigns
        left join audiences on campaigns.audience_id = audiences.audience_id
    )

select *
from final_cte
