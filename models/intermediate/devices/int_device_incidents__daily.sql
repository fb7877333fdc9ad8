{{
    config(
        materialized="incremental",
        unique_key=[
            "device_id",
            "metric",
            "incident_kind",
            "measured_date",
            "started_at",
        ],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__deduplicated'), ref('int_device_baselines__daily')], 'measured_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('measured_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set of_day = (
    "partition by device_id, metric, measured_date order by measured_at"
) -%}
{%- set of_kind = "partition by device_id, metric, incident_kind, measured_date, steady_value order by measured_at" -%}
{%- set of_run = "partition by device_id, metric, incident_kind, measured_date, steady_value, run_number" -%}
-- What shows it, how far it is beyond, and beyond what.
{%- set kinds = {
    "low": ("is_low", "low_limit - reading_value", "low_limit"),
    "high": ("is_high", "reading_value - high_limit", "high_limit"),
    "stuck": ("is_steady", "0", "null"),
    "anomaly": (
        "is_anomaly",
        "deviation / deviation_value",
        "anomaly_bound",
    ),
    "counter_reset": ("is_reset", "0", "last_value"),
    "gap": ("is_after_gap", "0", "last_value"),
} %}

-- Imported twice, since DuckDB keeps what a CTE holds that is used twice.
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
    baselines as (select * from {{ ref("int_device_baselines__daily") }}),
    numbered_cte as (
        select
            device_id,
            metric,
            metric_kind,
            interval_us,
            reading_value,
            measured_date,
            measured_at,
            row_number() over ({{ of_day }}) as reading_number,
            lag(reading_value) over ({{ of_day }}) as last_value,
            lead(reading_value) over ({{ of_day }}) as next_value,
            lag(measured_at) over ({{ of_day }}) as last_at,
            lead(measured_at) over ({{ of_day }}) as next_at
        from {{ expected_readings("readings", "same_readings") }} as expected
    ),
    measured_cte as (
        select
            readings.*,
            baselines.deviation_value,
            abs(readings.reading_value - baselines.median_value) as deviation,
            case
                when readings.reading_value < baselines.median_value
                then
                    baselines.median_value
                    - readings.anomaly_score * baselines.deviation_value
                else
                    baselines.median_value
                    + readings.anomaly_score * baselines.deviation_value
            end as anomaly_bound
        from
            {{
                with_device_metrics(
                    "numbered_cte",
                    [
                        "low_limit",
                        "high_limit",
                        "stuck_intervals",
                        "anomaly_score",
                    ],
                )
            }} as readings
        left join
            baselines
            on readings.device_id = baselines.device_id
            and readings.metric = baselines.metric
            and readings.measured_date = baselines.measured_date
            and baselines.reading_count >= {{ var("anomaly_min_readings") }}
            and baselines.day_count >= {{ var("anomaly_min_days") }}
            and baselines.deviation_value > 0
    ),
    -- Of a steady value also what it may have in common with the days beside.
    judged_cte as (
        select
            *,
            reading_value < low_limit as is_low,
            reading_value > high_limit as is_high,
            deviation > anomaly_score * deviation_value as is_anomaly,
            metric_kind = 'counter' and reading_value < last_value as is_reset,
            {{ microseconds_between("last_at", "measured_at") }}
            > 3 * interval_us as is_after_gap,
            stuck_intervals is not null
            and (
                reading_number = 1
                or next_at is null
                or reading_value = last_value
                or reading_value = next_value
            ) as is_steady
        from measured_cte
    ),
    incidents_cte as (
        select *
        from judged_cte
        where
            {% for is_shown, excess, threshold in kinds.values() %}
                {{ is_shown }} {% if not loop.last %} or {% endif %}
            {% endfor %}
    ),
    shown_cte as (
        {% for kind, (is_shown, excess, threshold) in kinds.items() %}
            select
                device_id,
                metric,
                '{{ kind }}' as incident_kind,
                reading_number,
                reading_value,
                cast({{ excess }} as double) as excess,
                cast({{ threshold }} as double) as threshold_value,
                {% if kind == "stuck" %} reading_value
                {% else %} cast(null as double)
                {% endif %} as steady_value,
                measured_date,
                measured_at,
                last_at,
                next_at
            from incidents_cte
            where {{ is_shown }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    -- Numbers of readings that follow each other are as far from their own count.
    runs_cte as (
        select
            *,
            case
                when incident_kind in ('counter_reset', 'gap')
                then reading_number
                else reading_number - row_number() over ({{ of_kind }})
            end as run_number
        from shown_cte
    ),
    extremes_cte as (
        select
            *,
            row_number() over (
                {{ of_run }} order by excess desc, reading_value desc, measured_at desc
            ) as extremity
        from runs_cte
    ),
    final_cte as (
        select
            device_id,
            metric,
            incident_kind,
            count(*) as reading_count,
            max(case when extremity = 1 then reading_value end) as extreme_value,
            max(case when extremity = 1 then excess end) as excess,
            max(case when extremity = 1 then threshold_value end) as threshold_value,
            min(reading_number) = 1 as is_from_first_reading,
            bool_or(next_at is null) as is_to_last_reading,
            measured_date,
            min(measured_at) as started_at,
            max(measured_at) as last_at,
            case when not bool_or(next_at is null) then max(next_at) end as ended_at,
            min(last_at) as heard_before_at
        from extremes_cte
        group by
            device_id, metric, incident_kind, measured_date, steady_value, run_number
    )

select *
from final_cte
