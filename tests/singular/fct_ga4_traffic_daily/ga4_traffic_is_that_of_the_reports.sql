-- Every day has the sessions, views and revenue of the newest complete reading of its
-- report: none is lost, none counted twice.
with
    expected_cte as (
        select
            property_id,
            report_date as traffic_date,
            sum(session_count) as session_count,
            sum(view_count) as view_count,
            sum(revenue_amount) as revenue_amount
        from {{ ref("stg_google_analytics__traffic") }}
        group by property_id, report_date
    ),
    actual_cte as (
        select
            property_id,
            traffic_date,
            sum(session_count) as session_count,
            sum(view_count) as view_count,
            sum(revenue_amount) as revenue_amount
        from {{ ref("fct_ga4_traffic_daily") }}
        group by property_id, traffic_date
    )

    {{ differing_rows() }}
