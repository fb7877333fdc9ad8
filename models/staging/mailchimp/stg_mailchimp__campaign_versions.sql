with
    campaigns as ({{ state_versions(source("mailchimp", "campaigns")) }}),
    final_cte as (
        select
            campaign_id,
            nullif(parent_campaign_id, '') as parent_campaign_id,
            nullif(list_id, '') as list_id,
            nullif(campaign_type, '') as campaign_type,
            nullif(status, '') as campaign_status,
            {{ clean_text(regex_replace_all("segment_text", "<[^>]*>", " ")) }}
            as segment_text,
            {{ clean_text("title") }} as campaign_title,
            {{ clean_text("subject_line") }} as subject_line,
            {{ clean_text("preview_text") }} as preview_text,
            {{ clean_text("from_name") }} as from_name,
            {{ clean_email("reply_to") }} as reply_to,
            recipient_count,
            emails_sent as sent_count,
            is_resendable,
            _is_gone as is_gone,
            cast(created_at as timestamp) as created_at,
            cast(sent_at as timestamp) as sent_at,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from campaigns
    )

select *
from final_cte
