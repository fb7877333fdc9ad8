{{
    config(
        materialized="incremental",
        unique_key="reading_id",
        pre_hook=[
            "{{ take_stock(source('devices', 'readings'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(source('devices', 'readings'), 'reading_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    readings as (
        {{ current_event(unsighted_rows(source("devices", "readings"), "reading_id")) }}
    ),
    final_cte as (
        select
            _key as reading_id,
            device_id,
            metric,
            topic,
            value_text as reading_text,
            sequence as sequence_number,
            value as reading_value,
            is_retained,
            {{ is_late("measured_at", "received_at") }} as is_late,
            {{ is_late("received_at", "measured_at") }} as is_ahead_of_time,
            cast(measured_at as timestamp) as measured_at,
            cast(received_at as timestamp) as received_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from readings
    )

select *
from final_cte
