with
    sessions as (select * from {{ ref("fct_web_sessions") }}),
    counted_cte as (
        select
            *,
            row_number() over (
                partition by visitor_id
                order by started_at nulls last, session_id nulls last
            ) as session_number
        from sessions
        where not is_bot
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
            count(case when session_number = 1 then 1 end) as new_visitor_count,
            count(distinct user_id) as user_count,
            cast(sum(page_view_count + screen_view_count) as bigint) as view_count,
            cast(sum(key_event_count) as bigint) as key_event_count,
            count(order_id) as order_session_count,
            cast(sum({{ microseconds_between("started_at", "ended_at") }}) as double)
            / 1000000 as duration_seconds
        from counted_cte
        group by session_date, platform, channel, source, medium, campaign_name
    )

select *
from final_cte
