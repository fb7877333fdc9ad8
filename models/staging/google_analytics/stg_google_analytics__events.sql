with
    events as ({{ current_snapshot(source("google_analytics", "events")) }}),
    final_cte as (
        select
            property_id,
            event_name,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            events as event_count,
            total_users as user_count,
            cast(key_events as decimal(18, 4)) as key_event_count,
            cast(event_value as decimal(18, 4)) as event_value,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from events
    )

select *
from final_cte
