{#
    What had been received of the so many days before midnights (`moments`: device_id, and known_date, which begins then):
    rows of fct_device_day_versions, each in the newest version of that time. A value that is beyond a limit on both sides
    of a midnight is one alert, of the day before. Counters and silences also count between days.
#}
{% macro known_device_days(versions, moments, days) -%}
    {%- set of_metric = "partition by versions.device_id, versions.metric, moments.known_date order by versions.business_date nulls last" -%}
    (
        select
            device_id,
            metric,
            metric_kind,
            last_text,
            interval_us,
            known_days_ago,
            reading_count,
            late_count,
            filled_interval_count,
            low_count - case
                when first_state = 'low' and state_before = 'low' then 1 else 0
            end as low_count,
            high_count - case
                when first_state = 'high' and state_before = 'high' then 1 else 0
            end as high_count,
            stuck_count,
            gap_count + case
                when
                    {{ microseconds_between("heard_before_at", "first_at") }}
                    > 3 * interval_us
                then 1
                else 0
            end as gap_count,
            counter_reset_count + case
                when metric_kind = 'counter' and first_value < value_before
                then 1
                else 0
            end as counter_reset_count,
            min_value,
            max_value,
            median_value,
            increase_millionths + coalesce(
                case
                    when metric_kind = 'counter'
                    then
                        {{ in_millionths(counter_step("value_before", "first_value")) }}
                end,
                0
            ) as increase_millionths,
            known_date,
            last_at
        from
            (
                select
                    versions.*,
                    moments.known_date,
                    {{
                        dbt.datediff(
                            "versions.business_date", "moments.known_date", "day"
                        )
                    }} as known_days_ago,
                    case
                        when
                            lag(versions.business_date) over ({{ of_metric }})
                            = {{ dbt.dateadd("day", -1, "versions.business_date") }}
                        then lag(versions.last_state) over ({{ of_metric }})
                    end as state_before,
                    lag(versions.last_value) over ({{ of_metric }}) as value_before,
                    lag(versions.last_at) over ({{ of_metric }}) as heard_before_at
                from
                    (
                        select
                            *,
                            lead(received_date) over (
                                partition by device_id, metric, business_date
                                order by received_date nulls last
                            ) as next_received_date
                        from {{ versions }}
                    ) as versions
                inner join
                    {{ moments }} as moments
                    on versions.device_id = moments.device_id
                    and versions.received_date < moments.known_date
                    and (
                        versions.next_received_date is null
                        or versions.next_received_date >= moments.known_date
                    )
                    and versions.business_date < moments.known_date
                    and {{ dbt.dateadd("day", days + 1, "versions.business_date") }}
                    >= moments.known_date
            ) as known_days
        where known_days_ago <= {{ days }}
    )
{%- endmacro %}
