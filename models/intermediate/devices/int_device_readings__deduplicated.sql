{{
    config(
        materialized="incremental",
        unique_key=["device_id", "metric", "measured_date", "measured_at"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__unioned')], 'measured_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('measured_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    readings as (select * from {{ ref("int_device_readings__unioned") }}),
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by device_id, metric, measured_at
                order by received_at desc, reading_id desc
            ) as recency,
            count(*) over (
                partition by device_id, metric, measured_at
            ) as sighting_count
        from readings
        where
            not is_ahead_of_time
            {% if is_incremental() %}
                and measured_date in (select changed_day from {{ changed_days() }})
            {% endif %}
    ),
    final_cte as (
        select
            device_id,
            metric,
            reading_text,
            sighting_count,
            reading_value,
            is_late,
            measured_date,
            measured_at,
            received_at,
            {{ built_in() }} as built_in
        from ranked_cte
        where recency = 1
    )

select *
from final_cte
