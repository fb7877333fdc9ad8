with
    pages as ({{ current_snapshot(source("google_analytics", "pages")) }}),
    final_cte as (
        select
            property_id,
            host,
            page_path,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            views as view_count,
            total_users as user_count,
            events as event_count,
            cast(key_events as decimal(18, 4)) as key_event_count,
            engagement_seconds,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from pages
    )

select *
from final_cte
