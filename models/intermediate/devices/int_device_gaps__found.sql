with
    days as (select * from {{ ref("int_device_days__summarised") }}),
    incidents as (select * from {{ ref("int_device_incidents__daily") }}),
    line_states as (select * from {{ ref("int_line_states__held") }}),
    as_of_cte as (select max(last_at) as as_of_at from days),
    nights_cte as (
        select
            device_id,
            metric,
            metric_kind,
            interval_us,
            last_value as value_before,
            lead(first_value) over (
                partition by device_id, metric order by measured_date nulls last
            ) as value_after,
            last_at as heard_at,
            lead(first_at) over (
                partition by device_id, metric order by measured_date nulls last
            ) as ended_at
        from days
    ),
    silences_cte as (
        select nights_cte.*
        from nights_cte
        cross join as_of_cte
        where
            {{
                microseconds_between(
                    "heard_at", "coalesce(ended_at, as_of_cte.as_of_at)"
                )
            }} > 3 * interval_us
        union all
        select
            incidents.device_id,
            incidents.metric,
            days.metric_kind,
            days.interval_us,
            incidents.threshold_value as value_before,
            incidents.extreme_value as value_after,
            incidents.heard_before_at as heard_at,
            incidents.started_at as ended_at
        from incidents
        inner join
            days
            on incidents.device_id = days.device_id
            and incidents.metric = days.metric
            and incidents.measured_date = days.measured_date
        where incidents.incident_kind = 'gap'
    ),
    -- While a line has planned to stand still, nothing is expected of it; unless a
    -- counter shows that it did not.
    final_cte as (
        select
            silences_cte.device_id,
            silences_cte.metric,
            silences_cte.interval_us,
            {{
                dbt.dateadd(
                    "second",
                    "cast(silences_cte.interval_us / 1000000 as bigint)",
                    "silences_cte.heard_at",
                )
            }} as started_at,
            silences_cte.ended_at
        from silences_cte
        left join
            line_states
            on silences_cte.device_id = line_states.device_id
            and {{ is_within("silences_cte.heard_at", "line_states") }}
            and not line_states.is_planned
        where
            line_states.device_id is null
            or (
                silences_cte.metric_kind = 'counter'
                and {{
                    counter_step(
                        "silences_cte.value_before", "silences_cte.value_after"
                    )
                }} > 0
            )
    )

select *
from final_cte
