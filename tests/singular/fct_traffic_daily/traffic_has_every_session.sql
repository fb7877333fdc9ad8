with
    expected_cte as (
        select count(*) as session_count, count(distinct visitor_id) as visitor_count
        from {{ ref("fct_web_sessions") }}
        where not is_bot
    ),
    actual_cte as (
        select
            coalesce(sum(session_count), 0) as session_count,
            coalesce(sum(new_visitor_count), 0) as visitor_count
        from {{ ref("fct_traffic_daily") }}
    )

    {{ differing_rows() }}
