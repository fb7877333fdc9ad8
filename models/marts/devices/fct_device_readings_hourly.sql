{{
    config(
        materialized="incremental",
        unique_key=["device_id", "metric", "measured_date", "hour_at"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__deduplicated')], ['measured_date', day_after('measured_date')]) }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('measured_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set of_metric = "partition by device_id, metric order by measured_at" -%}
{%- set hour_us = 3600000000 -%}

with
    readings as (select * from {{ ref("int_device_readings__deduplicated") }}),
    -- A day, and the one before, whose last value is carried into it.
    near_cte as (
        select *
        from readings
        where
            reading_value is not null
            {% if is_incremental() %}
                and (
                    measured_date in (select changed_day from {{ changed_days() }})
                    or {{ day_after("measured_date") }}
                    in (select changed_day from {{ changed_days() }})
                )
            {% endif %}
    ),
    ordered_cte as (
        select
            *,
            lag(measured_at) over ({{ of_metric }}) as last_at,
            lag(reading_value) over ({{ of_metric }}) as last_value,
            lead(measured_at) over ({{ of_metric }}) as next_at,
            date_trunc('hour', measured_at) as hour_at
        from near_cte
    ),
    described_cte as (
        select
            *,
            {{ microseconds_between("hour_at", "measured_at") }} as hour_position_us,
            case
                when {{ day_after("cast(last_at as date)") }} >= measured_date
                then {{ microseconds_between("last_at", "measured_at") }}
            end as since_last_us,
            {{ microseconds_between("measured_at", "next_at") }} as until_next_us
        from
            {{
                with_device_metrics(
                    "ordered_cte",
                    ["unit", "metric_kind", "expected_interval_seconds"],
                )
            }} as ordered_cte
        {% if is_incremental() %}
            where measured_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    limited_cte as (
        select *, cast(expected_interval_seconds as bigint) * 1000000 as interval_us
        from described_cte
    ),
    -- A value holds until the next one, but not over a gap.
    held_cte as (
        select
            *,
            since_last_us > 3 * interval_us as is_after_gap,
            least(
                until_next_us, {{ hour_us }} - hour_position_us, 3 * interval_us
            ) as held_us,
            case
                when since_last_us > hour_position_us and interval_us is not null
                then
                    greatest(
                        0,
                        least(
                            hour_position_us,
                            3 * interval_us - since_last_us + hour_position_us
                        )
                    )
                else 0
            end as carried_us,
            case
                when metric_kind = 'counter' and since_last_us is not null
                then
                    case
                        when reading_value < last_value
                        then reading_value
                        else reading_value - last_value
                    end
            end as increase,
            metric_kind = 'counter'
            and since_last_us is not null
            and reading_value < last_value as is_reset
        from limited_cte
    ),
    -- Whole numbers, so that their sums do not depend on the order of the rows.
    summed_cte as (
        select
            device_id,
            metric,
            hour_at,
            max(unit) as unit,
            max(expected_interval_seconds) as expected_interval_seconds,
            count(*) as reading_count,
            count(case when is_late then 1 end) as late_count,
            count(case when is_after_gap then 1 end) as gap_count,
            count(case when is_reset then 1 end) as reset_count,
            count(
                distinct floor(hour_position_us / nullif(interval_us, 0))
            ) as filled_interval_count,
            min(reading_value) as min_value,
            max(reading_value) as max_value,
            max_by(reading_value, measured_at) as last_value,
            sum({{ in_millionths("reading_value") }}) as value_sum,
            sum({{ in_millionths("reading_value * held_us / 1000000.0") }}) as held_sum,
            sum(
                {{ in_millionths("last_value * carried_us / 1000000.0") }}
            ) as carried_sum,
            sum(held_us) + sum(carried_us) as weight_us,
            bool_or(
                {{ in_millionths("reading_value * 3600") }} is null
                or (carried_us > 0 and {{ in_millionths("last_value * 3600") }} is null)
            ) as is_too_great,
            sum({{ in_millionths("increase") }}) as increase_sum,
            max(measured_date) as measured_date
        from held_cte
        group by device_id, metric, hour_at
    ),
    final_cte as (
        select
            device_id,
            metric,
            unit,
            reading_count,
            late_count,
            gap_count,
            reset_count,
            case
                when expected_interval_seconds <= 3600
                then cast(floor(3600 / nullif(expected_interval_seconds, 0)) as bigint)
            end as expected_interval_count,
            case
                when expected_interval_seconds <= 3600 then filled_interval_count
            end as filled_interval_count,
            case
                when expected_interval_seconds <= 3600
                then
                    least(
                        1,
                        {{
                            ratio(
                                "filled_interval_count",
                                "floor(3600 / nullif(expected_interval_seconds, 0))",
                            )
                        }}
                    )
            end as completeness,
            min_value,
            max_value,
            case
                when not is_too_great
                then {{ ratio("value_sum", "reading_count") }} / 1000000
            end as mean_value,
            case
                when not is_too_great
                then {{ ratio("held_sum + coalesce(carried_sum, 0)", "weight_us") }}
            end as time_weighted_mean_value,
            last_value,
            cast(increase_sum as double) / 1000000 as increase,
            measured_date,
            hour_at
        from summed_cte
    )

select *
from final_cte
