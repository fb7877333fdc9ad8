-- Every event's campaign is in dim_campaigns, be it deleted. It is not if its row was
-- rejected or campaigns are not read (option streams): then no figures have the event.
{{ config(severity="warn") }}

select email_events.event_id, email_events.campaign_id
from {{ ref("fct_email_events") }} as email_events
left join
    {{ ref("dim_campaigns") }} as campaigns
    on email_events.campaign_id = campaigns.campaign_id
where campaigns.campaign_id is null
