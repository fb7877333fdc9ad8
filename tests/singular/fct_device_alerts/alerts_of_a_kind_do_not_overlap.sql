with
    alerts as (
        select
            *,
            lead(started_at) over (
                partition by device_id, metric, alert_kind
                order by started_at nulls last
            ) as next_started_at
        from {{ ref("fct_device_alerts") }}
    )

select *
from alerts
where
    next_started_at < ended_at
    or (next_started_at is not null and is_open)
    or duration_seconds < 0
    or (duration_seconds = 0) <> (alert_kind = 'counter_reset')
