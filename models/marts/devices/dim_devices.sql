with
    readings as (select * from {{ ref("int_device_readings__unioned") }}),
    firmware_cte as (
        select
            device_id,
            reading_text as firmware_version,
            row_number() over (
                partition by device_id
                order by measured_at desc, received_at desc, reading_id desc
            ) as recency
        from readings
        where metric = '{{ var("firmware_metric") }}'
    ),
    counted_cte as (
        select
            device_id,
            max(source_system) as source_system,
            max(device_group) as device_group,
            count(distinct metric) as metric_count,
            count(*) as reading_count,
            count(case when is_late then 1 end) as late_count,
            count(case when is_ahead_of_time then 1 end) as ahead_of_time_count,
            min(received_at) as first_received_at,
            max(received_at) as last_received_at
        from readings
        group by device_id
    ),
    final_cte as (
        select
            counted_cte.device_id,
            counted_cte.source_system,
            counted_cte.device_group,
            firmware_cte.firmware_version,
            counted_cte.metric_count,
            counted_cte.reading_count,
            counted_cte.late_count,
            counted_cte.ahead_of_time_count,
            counted_cte.first_received_at,
            counted_cte.last_received_at
        from counted_cte
        left join
            firmware_cte
            on counted_cte.device_id = firmware_cte.device_id
            and firmware_cte.recency = 1
    )

select *
from final_cte
