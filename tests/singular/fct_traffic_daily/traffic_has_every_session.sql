with
    sessions as (
        select count(*) as session_count, count(distinct visitor_id) as visitor_count
        from {{ ref("fct_web_sessions") }}
        where not is_bot
    ),
    traffic as (
        select
            coalesce(sum(session_count), 0) as session_count,
            coalesce(sum(new_visitor_count), 0) as visitor_count
        from {{ ref("fct_traffic_daily") }}
    )

select *
from sessions
cross join traffic
where
    sessions.session_count <> traffic.session_count
    or sessions.visitor_count <> traffic.visitor_count
