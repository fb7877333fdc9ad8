{{
    config(
        materialized="incremental",
        unique_key=["device_id", "metric", "week_start_date"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__deduplicated')], week_of('measured_date')) }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('week_start_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set of_week = "partition by device_id, metric, week_start_date" %}

-- Medians by counting, exact on every engine, and without holding all values at once.
with
    readings as (select * from {{ ref("int_device_readings__deduplicated") }}),
    weeks_cte as (
        select
            device_id,
            metric,
            reading_value,
            measured_date,
            {{ week_of("measured_date") }} as week_start_date
        from readings
        where
            reading_value is not null
            {% if is_incremental() %}
                and {{ week_of("measured_date") }}
                in (select changed_day from {{ changed_days() }})
            {% endif %}
    ),
    values_cte as (
        select
            device_id,
            metric,
            reading_value,
            week_start_date,
            count(*) as value_count,
            min(measured_date) as first_date,
            max(measured_date) as last_date
        from
            {{ with_device_metrics("weeks_cte", ["metric_kind", "anomaly_score"]) }}
            as readings
        where anomaly_score is not null and metric_kind = 'gauge'
        group by device_id, metric, reading_value, week_start_date
    ),
    ranked_values_cte as (
        select
            *,
            sum(value_count) over (
                {{ of_week }} order by reading_value nulls last
            ) as count_so_far,
            sum(value_count) over ({{ of_week }}) as reading_count
        from values_cte
    ),
    medians_cte as (
        select
            *,
            min(
                case when count_so_far * 2 >= reading_count then reading_value end
            ) over ({{ of_week }}) as median_value
        from ranked_values_cte
    ),
    ranked_deviations_cte as (
        select
            *,
            abs(reading_value - median_value) as deviation,
            sum(value_count) over (
                {{ of_week }} order by abs(reading_value - median_value) nulls last
            ) as deviation_count_so_far
        from medians_cte
    ),
    final_cte as (
        select
            device_id,
            metric,
            cast(max(reading_count) as bigint) as reading_count,
            {{ dbt.datediff("min(first_date)", "max(last_date)", "day") }}
            + 1 as day_count,
            max(median_value) as median_value,
            min(
                case when deviation_count_so_far * 2 >= reading_count then deviation end
            ) as median_deviation,
            week_start_date,
            {{ built_in() }} as built_in
        from ranked_deviations_cte
        group by device_id, metric, week_start_date
    )

select *
from final_cte
