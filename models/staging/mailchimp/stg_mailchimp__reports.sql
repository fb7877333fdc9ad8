with
    reports as ({{ current_state(source("mailchimp", "reports")) }}),
    final_cte as (
        select
            campaign_id,
            nullif(list_id, '') as list_id,
            {{ clean_text("campaign_title") }} as campaign_title,
            {{ currency_code("currency") }} as currency_code,
            emails_sent as sent_count,
            hard_bounces as hard_bounce_count,
            soft_bounces as soft_bounce_count,
            syntax_errors as syntax_error_count,
            forwards as forward_count,
            opens as open_count,
            unique_opens as unique_opener_count,
            proxy_excluded_opens as proxy_excluded_open_count,
            proxy_excluded_unique_opens as proxy_excluded_opener_count,
            clicks as click_count,
            unique_clicks as unique_click_count,
            unique_subscriber_clicks as unique_clicker_count,
            unsubscribed as unsubscribe_count,
            abuse_reports as complaint_count,
            order_count,
            open_rate,
            proxy_excluded_open_rate,
            click_rate,
            revenue as revenue_amount,
            cast(sent_at as timestamp) as sent_at,
            cast(last_open_at as timestamp) as last_open_at,
            cast(last_click_at as timestamp) as last_click_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from reports
    )

select *
from final_cte
