with
    ecommerce as ({{ current_snapshot(source("google_analytics", "ecommerce")) }}),
    final_cte as (
        select
            property_id,
            item_id,
            item_name,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            items_viewed as viewed_count,
            items_added as added_count,
            items_purchased as purchased_count,
            cast(item_revenue as decimal(18, 4)) as revenue_amount,
            samples_read as sampled_event_count,
            sampling_space as sampling_event_count,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            report_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from ecommerce
    )

select *
from final_cte
