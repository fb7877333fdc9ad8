with
    geography as ({{ current_snapshot(source("google_analytics", "geography")) }}),
    final_cte as (
        select
            property_id,
            country as country_code,
            region,
            city,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            sessions as session_count,
            engaged_sessions as engaged_session_count,
            total_users as user_count,
            views as view_count,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from geography
    )

select *
from final_cte
