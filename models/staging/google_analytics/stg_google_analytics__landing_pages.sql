with
    landing_pages as (
        {{ current_snapshot(source("google_analytics", "landing_pages")) }}
    ),
    final_cte as (
        select
            property_id,
            landing_page,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            sessions as session_count,
            engaged_sessions as engaged_session_count,
            total_users as user_count,
            cast(key_events as decimal(18, 4)) as key_event_count,
            cast(total_revenue as decimal(18, 4)) as revenue_amount,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from landing_pages
    )

select *
from final_cte
