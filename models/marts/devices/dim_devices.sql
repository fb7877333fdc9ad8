with
    readings as (select * from {{ ref("int_device_readings__unioned") }}),
    final_cte as (
        select
            device_id,
            max(source_system) as source_system,
            max_by(device_group, received_at) as device_group,
            max_by(
                case when metric = '{{ var("firmware_metric") }}' then reading_text end,
                case when metric = '{{ var("firmware_metric") }}' then received_at end
            ) as firmware_version,
            count(distinct metric) as metric_count,
            count(*) as reading_count,
            count(case when is_late then 1 end) as late_count,
            count(case when is_ahead_of_time then 1 end) as ahead_of_time_count,
            min(received_at) as first_received_at,
            max(received_at) as last_received_at
        from readings
        group by device_id
    )

select *
from final_cte
