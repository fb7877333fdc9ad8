{{
    config(
        materialized="incremental",
        unique_key=["device_id", "metric", "measured_date"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__deduplicated')], 'measured_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('measured_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set of_day = "partition by device_id, metric, measured_date order by measured_at" %}

-- Imported several times, since DuckDB keeps what a CTE holds that is used twice.
with
    readings as (
        select *
        from {{ ref("int_device_readings__deduplicated") }}
        {% if is_incremental() %}
            where measured_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    same_readings as (
        select *
        from {{ ref("int_device_readings__deduplicated") }}
        {% if is_incremental() %}
            where measured_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    counters as (
        select *
        from {{ ref("int_device_readings__deduplicated") }}
        {% if is_incremental() %}
            where measured_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    days_cte as (
        select
            device_id,
            metric,
            metric_kind,
            interval_us,
            count(*) as reading_count,
            count(
                distinct floor(
                    {{
                        microseconds_between(
                            "cast(measured_date as timestamp)", "measured_at"
                        )
                    }} / nullif(interval_us, 0)
                )
            ) as filled_interval_count,
            min_by(reading_value, measured_at) as first_value,
            max_by(reading_value, measured_at) as last_value,
            measured_date,
            min(measured_at) as first_at,
            max(measured_at) as last_at
        from {{ expected_readings("readings", "same_readings") }} as expected
        group by device_id, metric, metric_kind, interval_us, measured_date
    ),
    steps_cte as (
        select
            device_id,
            metric,
            measured_date,
            reading_value,
            lag(reading_value) over ({{ of_day }}) as last_value
        from {{ with_device_metrics("counters", ["metric_kind"]) }} as counters
        where metric_kind = 'counter' and reading_value is not null
    ),
    -- Whole numbers, so that their sums do not depend on the order of the rows.
    increases_cte as (
        select
            device_id,
            metric,
            measured_date,
            sum(
                {{ in_millionths(counter_step("last_value", "reading_value")) }}
            ) as increase_millionths
        from steps_cte
        group by device_id, metric, measured_date
    ),
    final_cte as (
        select
            days_cte.device_id,
            days_cte.metric,
            days_cte.metric_kind,
            days_cte.interval_us,
            days_cte.reading_count,
            days_cte.filled_interval_count,
            days_cte.first_value,
            days_cte.last_value,
            increases_cte.increase_millionths,
            days_cte.measured_date,
            days_cte.first_at,
            days_cte.last_at
        from days_cte
        left join
            increases_cte
            on days_cte.device_id = increases_cte.device_id
            and days_cte.metric = increases_cte.metric
            and days_cte.measured_date = increases_cte.measured_date
    )

select *
from final_cte
