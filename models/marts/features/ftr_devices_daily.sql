with
    versions as (select * from {{ ref("fct_device_day_versions") }}),
    devices as (select * from {{ ref("dim_devices") }}),
    days as ({{ all_days() }}),
    firsts_cte as (
        select
            versions.device_id,
            devices.source_system,
            min(versions.received_date) as first_date,
            max(versions.received_date) as last_date
        from versions
        inner join devices on versions.device_id = devices.device_id
        group by versions.device_id, devices.source_system
    ),
    -- What a system sends comes in the order in which it was received: of a day that
    -- is over nothing is missing that had been received.
    systems_cte as (
        select source_system, max(last_date) as as_of_date
        from firsts_cte
        group by source_system
    ),
    moments_cte as (
        select
            firsts_cte.device_id,
            firsts_cte.first_date,
            days.date_day as known_date,
            {{ business_midnight("days.date_day") }} as known_at
        from firsts_cte
        inner join systems_cte on firsts_cte.source_system = systems_cte.source_system
        inner join
            days
            on days.date_day > firsts_cte.first_date
            and days.date_day <= systems_cte.as_of_date
    ),
    known_days_cte as (
        select * from {{ known_device_days("versions", "moments_cte", 28) }} as known
    ),
    -- The device as a whole, and its alerts.
    heard_cte as (
        select
            device_id,
            known_date,
            {% for number in [1, 7, 28] %}
                sum(
                    case
                        when metric = '*' and known_days_ago <= {{ number }}
                        then reading_count
                        else 0
                    end
                ) as reading_count_{{ number }}d,
                sum(
                    case
                        when known_days_ago <= {{ number }}
                        then low_count + high_count
                        else 0
                    end
                ) as limit_alert_count_{{ number }}d,
            {% endfor %}
            {% for number in [7, 28] %}
                sum(
                    case
                        when metric = '*' and known_days_ago <= {{ number }}
                        then gap_count
                        else 0
                    end
                ) as gap_count_{{ number }}d,
            {% endfor %}
            sum(
                case
                    when metric = '*' and known_days_ago <= 7 then late_count else 0
                end
            ) as late_count_7d,
            sum(
                case
                    when metric = '*' and known_days_ago <= 7
                    then filled_interval_count
                    else 0
                end
            ) as filled_interval_count_7d,
            max(case when metric = '*' then interval_us end) as interval_us,
            sum(stuck_count) as stuck_count_28d,
            sum(counter_reset_count) as counter_reset_count_28d,
            min(
                case when low_count + high_count > 0 then known_days_ago end
            ) as days_since_limit_alert,
            count(
                distinct case
                    when metric = '{{ var("firmware_metric") }}' then last_text
                end
            ) as firmware_count_28d,
            max(case when metric = '*' then last_at end) as last_at
        from known_days_cte
        group by device_id, known_date
    ),
    -- What gauges showed on the last day and in the last week, and what was usual in
    -- the three weeks before; in millionths.
    sums_cte as (
        select
            device_id,
            metric,
            metric_kind,
            known_date,
            sum(
                case
                    when known_days_ago > 7 then {{ in_millionths("median_value") }}
                end
            ) as usual_median_millionths,
            sum(
                case
                    when known_days_ago > 7
                    then {{ in_millionths("(max_value - min_value)") }}
                end
            ) as usual_range_millionths,
            count(case when known_days_ago > 7 then 1 end) as usual_day_count,
            max(case when known_days_ago > 7 then median_value end)
            - min(case when known_days_ago > 7 then median_value end) as usual_drift,
            {% for number in [1, 7] %}
                sum(
                    case
                        when known_days_ago <= {{ number }}
                        then {{ in_millionths("median_value") }}
                    end
                ) as median_millionths_{{ number }}d,
                count(
                    case when known_days_ago <= {{ number }} then 1 end
                ) as day_count_{{ number }}d,
                min(
                    case when known_days_ago <= {{ number }} then min_value end
                ) as min_value_{{ number }}d,
                max(
                    case when known_days_ago <= {{ number }} then max_value end
                ) as max_value_{{ number }}d,
            {% endfor %}
            {% for number in [1, 7, 28] %}
                sum(
                    case
                        when known_days_ago <= {{ number }} then increase_millionths
                    end
                ) as increase_millionths_{{ number }}d
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from known_days_cte
        where metric_kind in ('gauge', 'counter')
        group by device_id, metric, metric_kind, known_date
    ),
    usual_cte as (
        select
            *,
            {{ ratio("usual_median_millionths", "usual_day_count") }}
            / 1000000 as usual_value,
            {{ ratio("usual_range_millionths", "usual_day_count") }}
            / 1000000 as usual_range
        from {{ with_device_metrics("sums_cte", ["low_limit", "high_limit"]) }} as sums
    ),
    -- Of several metrics the one that shows most.
    metrics_cte as (
        select
            device_id,
            known_date,
            {% for number in [1, 7] %}
                max(
                    case
                        when metric_kind = 'gauge'
                        then
                            abs(
                                {{
                                    ratio(
                                        "median_millionths_" ~ number ~ "d",
                                        "day_count_" ~ number ~ "d",
                                    )
                                }} / 1000000 - usual_value
                            )
                            / nullif(usual_drift, 0)
                    end
                ) as drift_{{ number }}d,
                max(
                    case
                        when metric_kind = 'gauge'
                        then
                            greatest(
                                max_value_{{ number }}d - usual_value,
                                usual_value - min_value_{{ number }}d
                            )
                            / nullif(usual_range, 0)
                    end
                ) as excursion_{{ number }}d,
                min(
                    case
                        when metric_kind = 'gauge'
                        then
                            least(
                                high_limit - max_value_{{ number }}d,
                                min_value_{{ number }}d - low_limit
                            )
                            / nullif(usual_range, 0)
                    end
                ) as limit_distance_{{ number }}d,
            {% endfor %}
            {% for number in [1, 7, 28] %}
                max(
                    case
                        when metric_kind = 'counter'
                        then cast(increase_millionths_{{ number }}d as double) / 1000000
                    end
                ) as usage_{{ number }}d
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from usual_cte
        group by device_id, known_date
    ),
    final_cte as (
        select
            moments_cte.device_id as entity_id,
            cast(
                {{
                    dbt.datediff(
                        "moments_cte.first_date", "moments_cte.known_date", "day"
                    )
                }} as bigint
            ) as age_days,
            {% for number in [1, 7, 28] %}
                cast(
                    coalesce(heard_cte.reading_count_{{ number }}d, 0) as bigint
                ) as reading_count_{{ number }}d,
            {% endfor %}
            least(
                1,
                {{
                    ratio(
                        "coalesce(heard_cte.filled_interval_count_7d, 0) * heard_cte.interval_us",
                        "least(7, "
                        ~ dbt.datediff(
                            "moments_cte.first_date", "moments_cte.known_date", "day"
                        )
                        ~ ") * 86400000000",
                    )
                }}
            ) as heard_share_7d,
            {{
                ratio(
                    microseconds_between("heard_cte.last_at", "moments_cte.known_at"),
                    "3600000000",
                )
            }} as hours_since_reading,
            {{ ratio("heard_cte.late_count_7d", "heard_cte.reading_count_7d") }}
            as late_share_7d,
            {% for number in [1, 7, 28] %}
                cast(
                    coalesce(heard_cte.limit_alert_count_{{ number }}d, 0) as bigint
                ) as limit_alert_count_{{ number }}d,
            {% endfor %}
            cast(heard_cte.days_since_limit_alert as bigint) as days_since_limit_alert,
            {% for number in [7, 28] %}
                cast(
                    coalesce(heard_cte.gap_count_{{ number }}d, 0) as bigint
                ) as gap_count_{{ number }}d,
            {% endfor %}
            cast(coalesce(heard_cte.stuck_count_28d, 0) as bigint) as stuck_count_28d,
            cast(
                coalesce(heard_cte.counter_reset_count_28d, 0) as bigint
            ) as counter_reset_count_28d,
            greatest(
                coalesce(heard_cte.firmware_count_28d, 0) - 1, 0
            ) as firmware_change_count_28d,
            metrics_cte.drift_1d,
            metrics_cte.drift_7d,
            metrics_cte.excursion_1d,
            metrics_cte.excursion_7d,
            metrics_cte.limit_distance_1d,
            metrics_cte.limit_distance_7d,
            metrics_cte.usage_1d,
            metrics_cte.usage_7d,
            metrics_cte.usage_28d,
            moments_cte.known_at as feature_at,
            moments_cte.known_at as available_at
        from moments_cte
        left join
            heard_cte
            on moments_cte.device_id = heard_cte.device_id
            and moments_cte.known_date = heard_cte.known_date
        left join
            metrics_cte
            on moments_cte.device_id = metrics_cte.device_id
            and moments_cte.known_date = metrics_cte.known_date
    )

select *
from final_cte
