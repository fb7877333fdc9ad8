{%- set of_metric = "partition by device_id, metric order by measured_date" -%}
{%- set of_kind = "partition by incidents.device_id, incidents.metric, incidents.incident_kind order by incidents.started_at" -%}

with
    incidents as (select * from {{ ref("int_device_incidents__daily") }}),
    days as (select * from {{ ref("int_device_days__summarised") }}),
    gaps as (select * from {{ ref("int_device_gaps__found") }}),
    followed_days_cte as (
        select
            *,
            lag(measured_date) over ({{ of_metric }}) as last_date,
            lag(last_value) over ({{ of_metric }}) as value_before,
            lead(first_at) over ({{ of_metric }}) as next_at
        from days
    ),
    -- What ends with a day's last reading goes on with the next day's first one.
    followed_cte as (
        select
            incidents.*,
            days.next_at,
            incidents.is_from_first_reading
            and lag(incidents.is_to_last_reading) over ({{ of_kind }})
            and lag(incidents.measured_date) over ({{ of_kind }}) = days.last_date
            and (
                incidents.incident_kind <> 'stuck'
                or lag(incidents.extreme_value) over ({{ of_kind }})
                = incidents.extreme_value
            ) as goes_on
        from incidents
        inner join
            followed_days_cte as days
            on incidents.device_id = days.device_id
            and incidents.metric = days.metric
            and incidents.measured_date = days.measured_date
        where incidents.incident_kind not in ('gap', 'counter_reset')
    ),
    numbered_cte as (
        select
            *,
            sum(case when goes_on then 0 else 1 end) over (
                partition by device_id, metric, incident_kind
                order by started_at nulls last
                rows between unbounded preceding and current row
            ) as alert_number
        from followed_cte
    ),
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by device_id, metric, incident_kind, alert_number
                order by excess desc, extreme_value desc, started_at desc
            ) as extremity
        from numbered_cte
    ),
    merged_cte as (
        select
            device_id,
            metric,
            incident_kind as alert_kind,
            sum(reading_count) as reading_count,
            max(case when extremity = 1 then extreme_value end) as extreme_value,
            max(case when extremity = 1 then threshold_value end) as threshold_value,
            min(started_at) as started_at,
            max(last_at) as last_at,
            case
                when not bool_or(is_to_last_reading and next_at is null)
                then max(coalesce(ended_at, next_at))
            end as ended_at
        from ranked_cte
        group by device_id, metric, incident_kind, alert_number
    ),
    resets_cte as (
        select device_id, metric, extreme_value, threshold_value, started_at
        from incidents
        where incident_kind = 'counter_reset'
        union all
        select
            device_id,
            metric,
            first_value as extreme_value,
            value_before as threshold_value,
            first_at as started_at
        from followed_days_cte
        where metric_kind = 'counter' and first_value < value_before
    ),
    alerts_cte as (
        select
            device_id,
            metric,
            alert_kind,
            reading_count,
            extreme_value,
            threshold_value,
            started_at,
            last_at,
            ended_at
        from merged_cte
        union all
        select
            device_id,
            metric,
            'counter_reset' as alert_kind,
            1 as reading_count,
            extreme_value,
            threshold_value,
            started_at,
            started_at as last_at,
            started_at as ended_at
        from resets_cte
        union all
        select
            device_id,
            metric,
            'gap' as alert_kind,
            0 as reading_count,
            cast(null as double) as extreme_value,
            cast(null as double) as threshold_value,
            started_at,
            started_at as last_at,
            ended_at
        from gaps
        where metric <> '*'
    ),
    final_cte as (
        select
            device_id,
            metric,
            alert_kind,
            unit,
            extreme_value,
            threshold_value,
            cast(reading_count as bigint) as reading_count,
            cast({{ microseconds_between("started_at", "ended_at") }} as double)
            / 1000000 as duration_seconds,
            ended_at is null as is_open,
            cast(started_at as date) as started_date,
            started_at,
            ended_at
        from
            {{
                with_device_metrics(
                    "alerts_cte",
                    ["unit", "expected_interval_seconds", "stuck_intervals"],
                )
            }} as alerts
        where
            alert_kind <> 'stuck'
            or (
                reading_count > stuck_intervals
                and {{ microseconds_between("started_at", "last_at") }}
                >= cast(stuck_intervals as bigint) * expected_interval_seconds * 1000000
            )
    )

select *
from final_cte
