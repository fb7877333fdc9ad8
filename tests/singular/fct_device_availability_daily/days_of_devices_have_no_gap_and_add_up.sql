with
    days as (
        select
            *,
            lag(availability_date) over (
                partition by device_id order by availability_date nulls last
            ) as last_date
        from {{ ref("fct_device_availability_daily") }}
    )

select *
from days
where
    availability_date <> {{ day_after("last_date") }}
    or available_seconds < 0
    or available_seconds > expected_seconds
    or expected_seconds > 86400
    or longest_gap_seconds > expected_seconds - available_seconds
    or (gap_count = 0 and available_seconds <> expected_seconds)
    or filled_interval_count > expected_interval_count
