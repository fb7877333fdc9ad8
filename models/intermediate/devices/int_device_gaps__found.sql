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
            {{
                dbt.dateadd(
                    "second", "cast(3 * interval_us / 1000000 as bigint)", "last_at"
                )
            }} as missed_at,
            lead(first_at) over (
                partition by device_id, metric order by measured_date nulls last
            ) as ended_at
        from days
        where interval_us is not null
    ),
    silences_cte as (
        -- Over midnight.
        select
            device_id,
            metric,
            metric_kind,
            interval_us,
            value_before,
            value_after,
            heard_at,
            ended_at
        from nights_cte
        where ended_at > missed_at
        union all
        -- Until now.
        select
            nights_cte.device_id,
            nights_cte.metric,
            nights_cte.metric_kind,
            nights_cte.interval_us,
            nights_cte.value_before,
            nights_cte.value_after,
            nights_cte.heard_at,
            nights_cte.ended_at
        from nights_cte
        inner join as_of_cte on nights_cte.missed_at < as_of_cte.as_of_at
        where nights_cte.ended_at is null
        union all
        -- Within a day.
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
    rests_cte as (
        select device_id, valid_from, valid_to from line_states where not is_planned
    ),
    -- While a line stands still by plan, nothing is expected of it; unless a counter
    -- shows that it did not.
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
            rests_cte
            on silences_cte.device_id = rests_cte.device_id
            and {{ is_within("silences_cte.heard_at", "rests_cte") }}
        where
            rests_cte.device_id is null
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
