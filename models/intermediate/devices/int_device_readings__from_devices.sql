with
    readings as (select * from {{ ref("stg_devices__readings") }}),
    final_cte as (
        select
            {{ source_key("devices", "reading_id") }} as reading_id,
            {{ source_key("devices", "device_id") }} as device_id,
            'devices' as source_system,
            split_part(topic, '/', 1) as device_group,
            metric,
            reading_text,
            sequence_number,
            reading_value,
            is_late,
            is_ahead_of_time,
            cast(measured_at as date) as measured_date,
            measured_at,
            received_at,
            built_in
        from readings
    )

select *
from final_cte
