-- Where the report knows of as many opens as we do, read up to the same one, nobody was
-- deleted in between: then as many recipients opened.
with
    last_opens_cte as (
        select campaign_id, max(occurred_at) as last_open_at
        from {{ ref("fct_email_events") }}
        where event_type = 'open'
        group by campaign_id
    )

select
    campaigns.campaign_id,
    campaigns.unique_opener_count,
    campaigns.reported_unique_opener_count
from {{ ref("fct_campaign_performance") }} as campaigns
inner join last_opens_cte on campaigns.campaign_id = last_opens_cte.campaign_id
where
    campaigns.reported_open_count = campaigns.open_count
    and campaigns.reported_last_open_at = last_opens_cte.last_open_at
    and campaigns.reported_unique_opener_count <> campaigns.unique_opener_count
