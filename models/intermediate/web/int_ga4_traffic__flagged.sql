with
    traffic as (select * from {{ ref("stg_google_analytics__traffic") }}),
    final_cte as (
        select
            property_id,
            channel,
            source,
            medium,
            campaign_name,
            time_zone,
            currency_code,
            session_count,
            engaged_session_count,
            user_count,
            new_user_count,
            view_count,
            event_count,
            key_event_count,
            engagement_seconds,
            revenue_amount,
            coalesce(sampled_event_count < sampling_event_count, false) as is_sampled,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date as traffic_date
        from traffic
    )

select *
from final_cte
