{{
    config(
        materialized="incremental",
        unique_key=["device_id", "metric", "business_date", "received_date"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__unioned')], [day_before('measured_date'), 'measured_date', day_after('measured_date')]) }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('business_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{#- Of whatever zone, a day of UTC is of these days of the business. -#}
{%- set of_version = "partition by device_id, metric, business_date, received_date" -%}
{%- set of_run = of_version ~ ", reading_value, run_number" -%}

with
    readings as (select * from {{ ref("int_device_readings__unioned") }}),
    dated_cte as (
        select
            *,
            {{ business_day("measured_at") }} as business_date,
            cast({{ local_time("received_at") }} as date) as received_date
        from readings
        where
            not is_ahead_of_time
            {% if is_incremental() %}
                and (
                    {% for day in [
                        day_before("measured_date"),
                        "measured_date",
                        day_after("measured_date"),
                    ] %}
                        {{ day }} in (select changed_day from {{ changed_days() }})
                        {% if not loop.last %} or {% endif %}
                    {% endfor %}
                )
            {% endif %}
    ),
    -- What a device sends again later would change what was known before.
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by device_id, metric, measured_at
                order by received_at nulls last, reading_id nulls last
            ) as sighting
        from dated_cte
        {% if is_incremental() %}
            where business_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    heard_cte as (
        select
            device_id,
            metric,
            reading_text,
            reading_value,
            is_late,
            business_date,
            received_date,
            measured_at
        from ranked_cte
        where sighting = 1
        union all
        select
            device_id,
            '*' as metric,
            cast(null as string) as reading_text,
            cast(null as double) as reading_value,
            min_by(is_late, received_at) as is_late,
            business_date,
            min(received_date) as received_date,
            measured_at
        from ranked_cte
        group by device_id, business_date, measured_at
    ),
    known_cte as (
        select *, cast(expected_interval_seconds as bigint) * 1000000 as interval_us
        from
            {{
                with_device_metrics(
                    "heard_cte",
                    [
                        "metric_kind",
                        "expected_interval_seconds",
                        "low_limit",
                        "high_limit",
                        "stuck_intervals",
                    ],
                )
            }} as heard
        where
            metric in ('*', '{{ var("firmware_metric") }}')
            or (metric_kind in ('gauge', 'counter') and reading_value is not null)
    ),
    versions_cte as (
        select device_id, metric, business_date, received_date
        from known_cte
        group by device_id, metric, business_date, received_date
    ),
    -- A day as it looked from the day on which something of it was received.
    numbered_cte as (
        select
            known_cte.device_id,
            known_cte.metric,
            known_cte.metric_kind,
            known_cte.interval_us,
            known_cte.stuck_intervals,
            known_cte.reading_text,
            known_cte.reading_value,
            known_cte.is_late,
            case
                when known_cte.reading_value < known_cte.low_limit
                then 'low'
                when known_cte.reading_value > known_cte.high_limit
                then 'high'
                else 'within'
            end as limit_state,
            known_cte.business_date,
            versions_cte.received_date,
            known_cte.measured_at
        from known_cte
        inner join
            versions_cte
            on known_cte.device_id = versions_cte.device_id
            and known_cte.metric = versions_cte.metric
            and known_cte.business_date = versions_cte.business_date
            and known_cte.received_date <= versions_cte.received_date
    ),
    followed_cte as (
        select
            *,
            lag(limit_state) over (
                {{ of_version }} order by measured_at nulls last
            ) as last_state,
            lag(reading_value) over (
                {{ of_version }} order by measured_at nulls last
            ) as last_value,
            lag(measured_at) over (
                {{ of_version }} order by measured_at nulls last
            ) as last_at,
            row_number() over ({{ of_version }} order by measured_at nulls last)
            - row_number() over (
                {{ of_version }}, reading_value order by measured_at nulls last
            ) as run_number
        from numbered_cte
    ),
    runs_cte as (
        select
            *,
            count(*) over ({{ of_run }}) as run_length,
            min(measured_at) over ({{ of_run }}) as same_from_at,
            max(measured_at) over ({{ of_run }}) as same_until_at
        from followed_cte
    ),
    -- Whole numbers, so that their sums do not depend on the order of the rows.
    final_cte as (
        select
            device_id,
            metric,
            max(metric_kind) as metric_kind,
            min_by(limit_state, measured_at) as first_state,
            max_by(limit_state, measured_at) as last_state,
            {{ last_by("reading_text", "measured_at") }} as last_text,
            max(interval_us) as interval_us,
            count(*) as reading_count,
            count(case when is_late then 1 end) as late_count,
            count(
                distinct floor(
                    {{
                        microseconds_between(
                            "cast('1970-01-01' as timestamp)", "measured_at"
                        )
                    }} / nullif(interval_us, 0)
                )
            ) as filled_interval_count,
            count(
                case
                    when limit_state = 'low' and coalesce(last_state, '') <> 'low'
                    then 1
                end
            ) as low_count,
            count(
                case
                    when limit_state = 'high' and coalesce(last_state, '') <> 'high'
                    then 1
                end
            ) as high_count,
            count(
                case
                    when
                        measured_at = same_from_at
                        and run_length > stuck_intervals
                        and {{ microseconds_between("same_from_at", "same_until_at") }}
                        >= stuck_intervals * interval_us
                    then 1
                end
            ) as stuck_count,
            count(
                case
                    when
                        {{ microseconds_between("last_at", "measured_at") }}
                        > 3 * interval_us
                    then 1
                end
            ) as gap_count,
            count(
                case
                    when metric_kind = 'counter' and reading_value < last_value then 1
                end
            ) as counter_reset_count,
            min(reading_value) as min_value,
            max(reading_value) as max_value,
            -- (between two values, which engines come near in different ways)
            round({{ percentile("reading_value", 0.5) }}, 9) as median_value,
            min_by(reading_value, measured_at) as first_value,
            max_by(reading_value, measured_at) as last_value,
            coalesce(
                sum(
                    case
                        when metric_kind = 'counter'
                        then
                            {{
                                in_millionths(
                                    counter_step("last_value", "reading_value")
                                )
                            }}
                    end
                ),
                0
            ) as increase_millionths,
            business_date,
            received_date,
            min(measured_at) as first_at,
            max(measured_at) as last_at
        from runs_cte
        group by device_id, metric, business_date, received_date
    )

select *
from final_cte
