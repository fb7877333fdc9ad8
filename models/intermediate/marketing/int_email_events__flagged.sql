with
    email_events as (select * from {{ ref("int_email_events__unioned") }}),
    campaigns as (select * from {{ ref("int_campaigns__unioned") }}),
    networks as (select * from {{ ref("mail_proxy_networks") }}),
    ranges_cte as (
        select
            {{ ip_number("split_part(network, '/', 1)") }} as first_number,
            {{ ip_network_size("network") }} as network_size
        from networks
    ),
    ips_cte as (
        select ip, {{ ip_number("ip") }} as ip_number
        from email_events
        where event_type = 'open' and ip is not null
        group by ip
    ),
    proxy_ips_cte as (
        select distinct ips_cte.ip
        from ips_cte
        inner join
            ranges_cte
            on ips_cte.ip_number >= ranges_cte.first_number
            and ips_cte.ip_number < ranges_cte.first_number + ranges_cte.network_size
    ),
    clicks_cte as (
        select
            email_events.event_id,
            email_events.campaign_id,
            email_events.contact_id,
            email_events.url,
            {{
                dbt.datediff(
                    "campaigns.sent_at", "email_events.occurred_at", "second"
                )
            }} as seconds_after_send
        from email_events
        inner join campaigns on email_events.campaign_id = campaigns.campaign_id
        where email_events.event_type = 'click'
    ),
    early_clicks_cte as (
        select *
        from clicks_cte
        where seconds_after_send <= {{ var("bot_click_seconds_after_send") }}
    ),
    bursts_cte as (
        select
            first_clicks.campaign_id,
            first_clicks.contact_id,
            first_clicks.seconds_after_send
        from early_clicks_cte as first_clicks
        inner join
            early_clicks_cte as next_clicks
            on first_clicks.campaign_id = next_clicks.campaign_id
            and first_clicks.contact_id = next_clicks.contact_id
            and next_clicks.seconds_after_send
            between first_clicks.seconds_after_send and first_clicks.seconds_after_send
            + {{ var("bot_click_burst_seconds") }}
        group by
            first_clicks.campaign_id,
            first_clicks.contact_id,
            first_clicks.seconds_after_send
        having count(distinct next_clicks.url) >= {{ var("bot_click_links") }}
    ),
    bot_clicks_cte as (
        select distinct early_clicks_cte.event_id
        from early_clicks_cte
        inner join
            bursts_cte
            on early_clicks_cte.campaign_id = bursts_cte.campaign_id
            and early_clicks_cte.contact_id = bursts_cte.contact_id
            and early_clicks_cte.seconds_after_send
            between bursts_cte.seconds_after_send and bursts_cte.seconds_after_send
            + {{ var("bot_click_burst_seconds") }}
    ),
    final_cte as (
        select
            email_events.*,
            email_events.event_type = 'open'
            and proxy_ips_cte.ip is not null as is_privacy_open,
            bot_clicks_cte.event_id is not null as is_bot_click
        from email_events
        left join proxy_ips_cte on email_events.ip = proxy_ips_cte.ip
        left join bot_clicks_cte on email_events.event_id = bot_clicks_cte.event_id
    )

select *
from final_cte
