{{ config(materialized="table") }}
{%- set timeout = var("session_timeout_minutes") * 60000000 -%}

with
    web_sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    email_events as (select * from {{ ref("int_email_events__flagged") }}),
    campaigns as (select * from {{ ref("int_campaigns__unioned") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    sessions_cte as (
        select
            sessions.session_id as touch_id,
            persons.person_id,
            'session' as touch_type,
            sessions.channel,
            sessions.source,
            sessions.medium,
            sessions.campaign_name,
            sessions.started_at as touched_at
        from {{ with_channel("web_sessions") }} as sessions
        inner join
            persons
            on {{
                is_person_at(
                    "persons",
                    "'visitor'",
                    "sessions.visitor_id",
                    "sessions.started_at",
                )
            }}
        where not sessions.is_bot
    ),
    clicks_cte as (
        select
            email_events.event_id as touch_id,
            persons.person_id,
            'email_click' as touch_type,
            'Email' as channel,
            email_events.source_system as source,
            'email' as medium,
            coalesce(campaigns.campaign_title, '(not set)') as campaign_name,
            email_events.occurred_at as touched_at,
            lag(email_events.occurred_at) over (
                partition by email_events.campaign_id, email_events.contact_id
                order by
                    email_events.occurred_at nulls first,
                    email_events.event_id nulls first
            ) as previous_clicked_at
        from email_events
        inner join
            persons
            on {{
                is_person_at(
                    "persons",
                    "'audience_member'",
                    "email_events.contact_id",
                    "email_events.occurred_at",
                )
            }}
        left join campaigns on email_events.campaign_id = campaigns.campaign_id
        where email_events.event_type = 'click' and not email_events.is_bot_click
    ),
    -- Of clicks in one e-mail without a longer pause the first, as of views in a
    -- session.
    first_clicks_cte as (
        select *
        from clicks_cte
        where
            previous_clicked_at is null
            or {{ microseconds_between("previous_clicked_at", "touched_at") }}
            > {{ timeout }}
    ),
    -- The session that a click opens says itself what brought it.
    opening_clicks_cte as (
        select distinct first_clicks_cte.touch_id
        from first_clicks_cte
        inner join sessions_cte on first_clicks_cte.person_id = sessions_cte.person_id
        where
            sessions_cte.channel = 'Email'
            and {{
                microseconds_between(
                    "first_clicks_cte.touched_at", "sessions_cte.touched_at"
                )
            }} between 0 and {{ timeout }}
    ),
    touches_cte as (
        select
            touch_id,
            person_id,
            touch_type,
            channel,
            source,
            medium,
            campaign_name,
            touched_at
        from sessions_cte
        union all
        select
            first_clicks_cte.touch_id,
            first_clicks_cte.person_id,
            first_clicks_cte.touch_type,
            first_clicks_cte.channel,
            first_clicks_cte.source,
            first_clicks_cte.medium,
            first_clicks_cte.campaign_name,
            first_clicks_cte.touched_at
        from first_clicks_cte
        left join
            opening_clicks_cte
            on first_clicks_cte.touch_id = opening_clicks_cte.touch_id
        where opening_clicks_cte.touch_id is null
    ),
    final_cte as (
        select
            touch_id,
            person_id,
            touch_type,
            channel,
            source,
            medium,
            campaign_name,
            channel = 'Direct' as is_direct,
            touched_at
        from touches_cte
    )

select *
from final_cte
