{#
    Readings of metrics of the seed device_metrics, and of the devices as a whole (metric *), of which one is any at its
    time. What is no number counts for states only. The two relations are the same readings: one alone, which is read
    twice, DuckDB would keep as a whole.
#}
{% macro expected_readings(readings, same_readings) -%}
    {%- set heard -%}
        (
            select device_id, metric, reading_value, measured_date, measured_at
            from {{ readings }}
            union all
            select
                device_id,
                '*' as metric,
                cast(null as double) as reading_value,
                measured_date,
                measured_at
            from {{ same_readings }}
            group by device_id, measured_date, measured_at
        )
    {%- endset -%}
    (
        select
            device_id,
            metric,
            metric_kind,
            cast(expected_interval_seconds as bigint) * 1000000 as interval_us,
            reading_value,
            measured_date,
            measured_at
        from
            {{
                with_device_metrics(
                    heard, ["metric_kind", "expected_interval_seconds"]
                )
            }} as heard
        where
            metric_kind in ('device', 'state')
            or (metric_kind in ('gauge', 'counter') and reading_value is not null)
    )
{%- endmacro %}
