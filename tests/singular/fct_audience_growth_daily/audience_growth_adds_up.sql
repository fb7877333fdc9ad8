-- No day is left out, and every day begins where the day before ended; there are never
-- fewer than none.
with
    days_cte as (
        select
            *,
            lag(growth_date) over (
                partition by audience_id order by growth_date nulls first
            ) as previous_date,
            lag(subscribed_count) over (
                partition by audience_id order by growth_date nulls first
            ) as previous_count
        from {{ ref("fct_audience_growth_daily") }}
    )

select audience_id, growth_date
from days_cte
where
    {{ dbt.datediff("previous_date", "growth_date", "day") }} > 1
    or subscribed_count <> coalesce(previous_count, 0) + net_count
    or net_count <> joined_count - unsubscribed_count - cleaned_count - removed_count
    or subscribed_count < 0
