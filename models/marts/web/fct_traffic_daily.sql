{{
    config(
        materialized="incremental",
        unique_key=[
            "traffic_date",
            "platform",
            "channel",
            "source",
            "medium",
            "campaign_name",
        ],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_web_sessions__aggregated')], 'session_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('traffic_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

-- Imported twice, since DuckDB keeps what a CTE holds that is used twice.
with
    sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    all_sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    days_cte as (
        select *
        from sessions
        where
            not is_bot
            {% if is_incremental() %}
                and session_date in (select changed_day from {{ changed_days() }})
            {% endif %}
    ),
    first_starts_cte as (
        select visitor_id, min(started_at) as started_at
        from all_sessions
        where
            not is_bot
            {% if is_incremental() %}
                and visitor_id in (select visitor_id from days_cte)
            {% endif %}
        group by visitor_id
    ),
    -- Two sessions may begin at one moment, if a campaign cuts them.
    first_sessions_cte as (
        select min(days_cte.session_id) as first_session_id
        from days_cte
        inner join
            first_starts_cte
            on days_cte.visitor_id = first_starts_cte.visitor_id
            and days_cte.started_at = first_starts_cte.started_at
        group by days_cte.visitor_id
    ),
    counted_cte as (
        select sessions.*, first_sessions_cte.first_session_id
        from {{ with_channel("days_cte") }} as sessions
        left join
            first_sessions_cte
            on sessions.session_id = first_sessions_cte.first_session_id
    ),
    final_cte as (
        select
            session_date as traffic_date,
            platform,
            channel,
            source,
            medium,
            campaign_name,
            count(*) as session_count,
            count(case when is_engaged then 1 end) as engaged_session_count,
            count(distinct visitor_id) as visitor_count,
            count(first_session_id) as new_visitor_count,
            count(distinct user_id) as user_count,
            cast(sum(page_view_count + screen_view_count) as bigint) as view_count,
            cast(sum(key_event_count) as bigint) as key_event_count,
            count(order_id) as order_session_count,
            cast(sum(duration_microseconds) as double) / 1000000 as duration_seconds
        from counted_cte
        group by session_date, platform, channel, source, medium, campaign_name
    )

select *
from final_cte
