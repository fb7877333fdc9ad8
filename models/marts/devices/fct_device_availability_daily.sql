with
    summaries as (select * from {{ ref("int_device_days__summarised") }}),
    gaps as (select * from {{ ref("int_device_gaps__found") }}),
    days as ({{ all_days() }}),
    as_of_cte as (select max(last_at) as as_of_at from summaries),
    -- A device is expected from its first reading on.
    devices_cte as (
        select
            device_id,
            cast(max(expected_interval_seconds) as bigint) * 1000000 as interval_us,
            min(first_at) as first_at
        from
            {{ with_device_metrics("summaries", ["expected_interval_seconds"]) }}
            as summaries
        where metric = '*' and expected_interval_seconds is not null
        group by device_id
    ),
    dates_cte as (
        select
            cast(date_day as date) as date_day,
            cast(date_day as timestamp) as begins_at,
            cast({{ day_after("date_day") }} as timestamp) as ends_at
        from days
    ),
    device_days_cte as (
        select
            devices_cte.device_id,
            devices_cte.interval_us,
            dates_cte.date_day,
            dates_cte.begins_at as day_begins_at,
            greatest(dates_cte.begins_at, devices_cte.first_at) as begins_at,
            least(dates_cte.ends_at, as_of_cte.as_of_at) as ends_at
        from devices_cte
        cross join as_of_cte
        inner join
            dates_cte
            on dates_cte.ends_at > devices_cte.first_at
            and dates_cte.begins_at <= as_of_cte.as_of_at
    ),
    overlaps_cte as (
        select
            device_days_cte.device_id,
            device_days_cte.date_day,
            {{
                microseconds_between(
                    "greatest(gaps.started_at, device_days_cte.begins_at)",
                    "least(coalesce(gaps.ended_at, device_days_cte.ends_at), device_days_cte.ends_at)",
                )
            }}
            as missed_us
        from device_days_cte
        inner join
            gaps
            on device_days_cte.device_id = gaps.device_id
            and gaps.started_at < device_days_cte.ends_at
            and coalesce(gaps.ended_at, device_days_cte.ends_at)
            > device_days_cte.begins_at
        where gaps.metric = '*'
    ),
    missed_cte as (
        select
            device_id,
            date_day,
            count(*) as gap_count,
            sum(missed_us) as missed_us,
            max(missed_us) as longest_gap_us
        from overlaps_cte
        group by device_id, date_day
    ),
    counted_cte as (
        select
            device_days_cte.device_id,
            device_days_cte.date_day,
            {{
                microseconds_between(
                    "device_days_cte.begins_at", "device_days_cte.ends_at"
                )
            }} as expected_us,
            coalesce(missed_cte.missed_us, 0) as missed_us,
            coalesce(missed_cte.gap_count, 0) as gap_count,
            coalesce(missed_cte.longest_gap_us, 0) as longest_gap_us,
            case
                when device_days_cte.interval_us <= 86400000000
                then
                    cast(
                        floor(
                            {{
                                microseconds_between(
                                    "device_days_cte.day_begins_at",
                                    "device_days_cte.ends_at",
                                )
                            }} / nullif(device_days_cte.interval_us, 0)
                        ) - floor(
                            {{
                                microseconds_between(
                                    "device_days_cte.day_begins_at",
                                    "device_days_cte.begins_at",
                                )
                            }} / nullif(device_days_cte.interval_us, 0)
                        ) as bigint
                    )
            end as expected_interval_count,
            coalesce(summaries.filled_interval_count, 0) as filled_interval_count
        from device_days_cte
        left join
            missed_cte
            on device_days_cte.device_id = missed_cte.device_id
            and device_days_cte.date_day = missed_cte.date_day
        left join
            summaries
            on device_days_cte.device_id = summaries.device_id
            and device_days_cte.date_day = summaries.measured_date
            and summaries.metric = '*'
    ),
    final_cte as (
        select
            device_id,
            expected_interval_count,
            least(
                filled_interval_count, expected_interval_count
            ) as filled_interval_count,
            cast(expected_us as double) / 1000000 as expected_seconds,
            cast(expected_us - missed_us as double) / 1000000 as available_seconds,
            {{ ratio("expected_us - missed_us", "expected_us") }} as availability,
            gap_count,
            cast(longest_gap_us as double) / 1000000 as longest_gap_seconds,
            date_day as availability_date
        from counted_cte
    )

select *
from final_cte
