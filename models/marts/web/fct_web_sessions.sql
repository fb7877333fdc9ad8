{{
    config(
        materialized="incremental",
        unique_key="session_id",
        pre_hook=[
            "{{ take_stock(ref('int_web_sessions__aggregated'), 'built_in') }}",
            "{{ forget_vanished(ref('int_web_sessions__aggregated'), 'session_id', 'true') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    sessions as (
        select * from {{ new_rows(ref("int_web_sessions__aggregated"), "built_in") }}
    ),
    traffic_sources as (select * from {{ ref("int_traffic_sources__channelled") }}),
    final_cte as (
        select
            sessions.session_id,
            sessions.visitor_id,
            sessions.user_id,
            sessions.order_id,
            sessions.platform,
            traffic_sources.channel,
            traffic_sources.source,
            traffic_sources.medium,
            traffic_sources.campaign_name,
            sessions.landing_host,
            sessions.landing_path,
            sessions.event_count,
            sessions.page_view_count,
            sessions.screen_view_count,
            sessions.key_event_count,
            cast(
                {{ microseconds_between("sessions.started_at", "sessions.ended_at") }}
                as double
            )
            / 1000000 as duration_seconds,
            sessions.is_bot,
            sessions.page_view_count + sessions.screen_view_count >= 2
            or sessions.key_event_count > 0
            or {{ microseconds_between("sessions.started_at", "sessions.ended_at") }}
            > {{ var("engaged_session_seconds") }} * 1000000 as is_engaged,
            cast({{ local_time("sessions.started_at") }} as date) as session_date,
            sessions.started_at,
            sessions.ended_at
        from sessions
        left join
            traffic_sources
            on sessions.told_source = traffic_sources.told_source
            and sessions.told_medium = traffic_sources.told_medium
            and sessions.campaign_name = traffic_sources.campaign_name
            and sessions.is_referred = traffic_sources.is_referred
    )

select *
from final_cte
