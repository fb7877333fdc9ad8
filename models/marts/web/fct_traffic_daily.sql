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
            "{{ take_stock(ref('int_web_sessions__aggregated'), day_and_run('session_date')) }}",
            "{{ forget_changed_days('traffic_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    sessions as (
        select * from {{ ref("int_web_sessions__aggregated") }} where not is_bot
    ),
    days_cte as (
        select *
        from sessions
        {% if is_incremental() %}
            where session_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    -- Of all sessions, of any day, of the days' visitors.
    numbered_cte as (
        select
            session_id,
            row_number() over (
                partition by visitor_id
                order by started_at nulls last, session_id nulls last
            ) as session_number
        from sessions
        {% if is_incremental() %}
            where visitor_id in (select visitor_id from days_cte)
        {% endif %}
    ),
    first_sessions_cte as (
        select session_id as first_session_id from numbered_cte where session_number = 1
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
