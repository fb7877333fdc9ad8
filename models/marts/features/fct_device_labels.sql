with
    versions as (select * from {{ ref("fct_device_day_versions") }}),
    features as (select * from {{ ref("ftr_devices_daily") }}),
    moments_cte as (
        select
            entity_id as device_id,
            cast({{ local_time("feature_at") }} as date) as known_date,
            feature_at as known_at
        from features
    ),
    failures_cte as (
        {% for number in var("failure_horizon_days") %}
            select
                device_id,
                {{ number }} as horizon_days,
                sum(
                    {% for kind in var("device_failures") %}
                        {{ kind }}_count {% if not loop.last %} + {% endif %}
                    {% endfor %}
                ) as failure_count,
                known_date
            from {{ known_device_days("versions", "moments_cte", number) }} as known
            where metric <> '*'
            group by device_id, known_date
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    -- A window ends with a midnight of which it is known what had been received.
    windows_cte as (
        {% for number in var("failure_horizon_days") %}
            select
                begins.device_id,
                {{ number }} as horizon_days,
                ends.known_date,
                begins.known_at as label_at,
                ends.known_at as label_available_at
            from moments_cte as begins
            inner join
                moments_cte as ends
                on begins.device_id = ends.device_id
                and ends.known_date
                = cast({{ dbt.dateadd("day", number, "begins.known_date") }} as date)
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    final_cte as (
        select
            windows_cte.device_id as entity_id,
            windows_cte.horizon_days,
            cast(coalesce(failures_cte.failure_count, 0) as bigint) as failure_count,
            coalesce(failures_cte.failure_count, 0) > 0 as has_failure,
            windows_cte.label_at,
            windows_cte.label_available_at
        from windows_cte
        left join
            failures_cte
            on windows_cte.device_id = failures_cte.device_id
            and windows_cte.horizon_days = failures_cte.horizon_days
            and windows_cte.known_date = failures_cte.known_date
    )

select *
from final_cte
