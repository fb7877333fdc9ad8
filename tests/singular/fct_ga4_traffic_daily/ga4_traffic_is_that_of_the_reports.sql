-- Every day has the sessions, views and revenue of the newest complete reading of its
-- report: none is lost, none counted twice.
with
    reported_cte as (
        select
            property_id,
            report_date as traffic_date,
            sum(session_count) as session_count,
            sum(view_count) as view_count,
            sum(revenue_amount) as revenue_amount
        from {{ ref("stg_google_analytics__traffic") }}
        group by property_id, report_date
    ),
    counted_cte as (
        select
            property_id,
            traffic_date,
            sum(session_count) as session_count,
            sum(view_count) as view_count,
            sum(revenue_amount) as revenue_amount
        from {{ ref("fct_ga4_traffic_daily") }}
        group by property_id, traffic_date
    ),
    missing_cte as (
        select *
        from reported_cte
        except
        select *
        from counted_cte
    ),
    unexpected_cte as (
        select *
        from counted_cte
        except
        select *
        from reported_cte
    )

select 'missing' as problem, *
from missing_cte
union all
select 'unexpected' as problem, *
from unexpected_cte
