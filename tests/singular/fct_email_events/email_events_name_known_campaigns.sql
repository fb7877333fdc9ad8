-- Every event's campaign is in dim_campaigns, be it deleted.
select email_events.event_id, email_events.campaign_id
from {{ ref("fct_email_events") }} as email_events
left join
    {{ ref("dim_campaigns") }} as campaigns
    on email_events.campaign_id = campaigns.campaign_id
where campaigns.campaign_id is null
