with
    days as (
        select
            *,
            lag(production_date) over (
                partition by device_id order by production_date nulls last
            ) as last_date
        from {{ ref("fct_line_oee_daily") }}
    )

select *
from days
where
    abs(availability * performance * quality - oee) > 0.000000001
    or production_date <> {{ day_after("last_date") }}
    or run_seconds < 0
    or run_seconds > planned_seconds
    or planned_seconds > 86400
