{%- set of_metric = "partition by device_id, metric order by measured_date" %}

with
    states as (select * from {{ ref("int_line_states__held") }}),
    summaries as (select * from {{ ref("int_device_days__summarised") }}),
    gaps as (select * from {{ ref("int_device_gaps__found") }}),
    days as ({{ all_days() }}),
    as_of_cte as (select max(last_at) as as_of_at from summaries),
    dates_cte as (
        select
            cast(date_day as date) as date_day,
            cast(date_day as timestamp) as begins_at,
            cast({{ day_after("date_day") }} as timestamp) as ends_at
        from days
    ),
    -- Until the next one, or until now.
    held_cte as (
        select
            states.device_id,
            states.is_planned,
            states.is_running,
            states.measured_date,
            states.valid_from,
            coalesce(states.valid_to, as_of_cte.as_of_at) as valid_to
        from states
        cross join as_of_cte
    ),
    times_cte as (
        select
            device_id,
            measured_date as date_day,
            is_planned,
            is_running,
            {{
                microseconds_between(
                    "valid_from",
                    "least(valid_to, cast("
                    ~ day_after("measured_date")
                    ~ " as timestamp))",
                )
            }} as held_us
        from held_cte
        union all
        -- Over midnight.
        select
            held_cte.device_id,
            dates_cte.date_day,
            held_cte.is_planned,
            held_cte.is_running,
            {{
                microseconds_between(
                    "dates_cte.begins_at",
                    "least(held_cte.valid_to, dates_cte.ends_at)",
                )
            }} as held_us
        from held_cte
        inner join
            dates_cte
            on dates_cte.date_day > held_cte.measured_date
            and dates_cte.begins_at < held_cte.valid_to
        where cast(held_cte.valid_to as date) > held_cte.measured_date
    ),
    states_cte as (
        select
            device_id,
            date_day,
            sum(case when is_planned then held_us else 0 end) as planned_us,
            sum(case when is_planned and is_running then held_us else 0 end) as run_us,
            min(min(date_day)) over (partition by device_id) as first_date
        from times_cte
        group by device_id, date_day
    ),
    -- Between the last reading of a day and the first one after it, a counter may
    -- have grown as well.
    steps_cte as (
        select
            device_id,
            metric,
            line_role,
            last_value,
            measured_date,
            coalesce(increase_millionths, 0) + coalesce(
                {{
                    in_millionths(
                        counter_step(
                            "lag(last_value) over (" ~ of_metric ~ ")", "first_value"
                        )
                    )
                }},
                0
            ) as increase_millionths
        from {{ with_device_metrics("summaries", ["line_role"]) }} as summaries
        where line_role in ('total_count', 'good_count', 'ideal_cycle_seconds')
    ),
    counts_cte as (
        select
            device_id,
            measured_date,
            sum(
                case when line_role = 'total_count' then increase_millionths else 0 end
            ) as total_millionths,
            sum(
                case when line_role = 'good_count' then increase_millionths else 0 end
            ) as good_millionths,
            max(
                case when line_role = 'ideal_cycle_seconds' then last_value end
            ) as ideal_cycle_seconds
        from steps_cte
        group by device_id, measured_date
    ),
    gaps_cte as (
        select states_cte.device_id, states_cte.date_day, count(*) as gap_count
        from states_cte
        inner join dates_cte on states_cte.date_day = dates_cte.date_day
        inner join
            {{ with_device_metrics("gaps", ["line_role"]) }} as gaps
            on states_cte.device_id = gaps.device_id
            and gaps.started_at < dates_cte.ends_at
            and coalesce(gaps.ended_at, dates_cte.ends_at) > dates_cte.begins_at
        where gaps.line_role in ('state', 'total_count', 'good_count')
        group by states_cte.device_id, states_cte.date_day
    ),
    lines_cte as (
        select
            states_cte.device_id,
            states_cte.date_day,
            cast(states_cte.planned_us as double) / 1000000 as planned_seconds,
            cast(states_cte.run_us as double) / 1000000 as run_seconds,
            coalesce(cast(counts_cte.total_millionths as double), 0)
            / 1000000 as total_count,
            coalesce(cast(counts_cte.good_millionths as double), 0)
            / 1000000 as good_count,
            {{
                last_known(
                    "counts_cte.ideal_cycle_seconds",
                    "partition by states_cte.device_id order by states_cte.date_day rows between unbounded preceding and current row",
                )
            }}
            as ideal_cycle_seconds,
            states_cte.date_day > states_cte.first_date
            and states_cte.date_day < cast(as_of_cte.as_of_at as date)
            and gaps_cte.gap_count is null as is_complete
        from states_cte
        cross join as_of_cte
        left join
            counts_cte
            on states_cte.device_id = counts_cte.device_id
            and states_cte.date_day = counts_cte.measured_date
        left join
            gaps_cte
            on states_cte.device_id = gaps_cte.device_id
            and states_cte.date_day = gaps_cte.date_day
    ),
    final_cte as (
        select
            device_id,
            planned_seconds,
            run_seconds,
            total_count,
            good_count,
            ideal_cycle_seconds,
            {{ ratio("run_seconds", "planned_seconds") }} as availability,
            {{ ratio("ideal_cycle_seconds * total_count", "run_seconds") }}
            as performance,
            {{ ratio("good_count", "total_count") }} as quality,
            {{ ratio("ideal_cycle_seconds * good_count", "planned_seconds") }} as oee,
            is_complete,
            date_day as production_date
        from lines_cte
    )

select *
from final_cte
