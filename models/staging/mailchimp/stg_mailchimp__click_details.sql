with
    click_details as ({{ current_snapshot(source("mailchimp", "click_details")) }}),
    final_cte as (
        select
            campaign_id,
            link_id,
            nullif(url, '') as url,
            clicks as click_count,
            unique_clicks as unique_clicker_count,
            click_share,
            cast(last_click_at as timestamp) as last_click_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from click_details
    )

select *
from final_cte
