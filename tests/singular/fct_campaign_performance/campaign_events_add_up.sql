-- All events are counted in their campaign, recipients once they are read.
with
    events_cte as (
        select
            campaign_id,
            count_if(event_type = 'open') as open_count,
            count_if(event_type = 'click') as click_count,
            count_if(event_type = 'sent') as sent_count,
            count_if(event_type = 'unsubscribe') as unsubscribe_count
        from {{ ref("fct_email_events") }}
        group by campaign_id
    )

select campaigns.campaign_id
from {{ ref("fct_campaign_performance") }} as campaigns
left join events_cte on campaigns.campaign_id = events_cte.campaign_id
where
    campaigns.open_count <> coalesce(events_cte.open_count, 0)
    or campaigns.click_count <> coalesce(events_cte.click_count, 0)
    or campaigns.is_recipients_read <> (coalesce(events_cte.sent_count, 0) > 0)
    or (campaigns.is_recipients_read and campaigns.sent_count <> events_cte.sent_count)
    or campaigns.unsubscribe_count <> coalesce(events_cte.unsubscribe_count, 0)
