with
    campaign_versions as (select * from {{ ref("stg_mailchimp__campaign_versions") }}),
    -- A deleted campaign stays, as it last was: its recipients still did what they did.
    latest_versions_cte as (
        select
            *,
            row_number() over (
                partition by campaign_id order by changed_at desc
            ) as recency,
            campaign_status = 'sent' or coalesce(sent_count, 0) > 0 as is_sent
        from campaign_versions
        where not is_gone
    ),
    deleted_campaigns_cte as (
        select campaign_id, max_by(is_gone, changed_at) as is_deleted
        from campaign_versions
        group by campaign_id
    ),
    final_cte as (
        select
            {{ source_key("mailchimp", "latest_versions_cte.campaign_id") }}
            as campaign_id,
            {{ source_key("mailchimp", "latest_versions_cte.parent_campaign_id") }}
            as parent_campaign_id,
            {{ source_key("mailchimp", "latest_versions_cte.list_id") }} as audience_id,
            'mailchimp' as source_system,
            latest_versions_cte.campaign_id as source_campaign_id,
            latest_versions_cte.campaign_type,
            latest_versions_cte.campaign_status,
            latest_versions_cte.campaign_title,
            latest_versions_cte.subject_line,
            latest_versions_cte.preview_text,
            latest_versions_cte.from_name,
            latest_versions_cte.reply_to,
            latest_versions_cte.segment_text,
            latest_versions_cte.is_sent,
            deleted_campaigns_cte.is_deleted,
            latest_versions_cte.created_at,
            case
                when not latest_versions_cte.is_sent then latest_versions_cte.sent_at
            end as scheduled_at,
            case
                when latest_versions_cte.is_sent then latest_versions_cte.sent_at
            end as sent_at
        from latest_versions_cte
        inner join
            deleted_campaigns_cte
            on latest_versions_cte.campaign_id = deleted_campaigns_cte.campaign_id
        where latest_versions_cte.recency = 1
    )

select *
from final_cte
