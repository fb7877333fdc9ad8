with
    traffic as ({{ current_snapshot(source("google_analytics", "traffic")) }}),
    final_cte as (
        select
            property_id,
            channel,
            source,
            medium,
            campaign_name,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            sessions as session_count,
            engaged_sessions as engaged_session_count,
            total_users as user_count,
            new_users as new_user_count,
            views as view_count,
            events as event_count,
            cast(key_events as decimal(18, 4)) as key_event_count,
            engagement_seconds,
            cast(total_revenue as decimal(18, 4)) as revenue_amount,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from traffic
    )

select *
from final_cte
