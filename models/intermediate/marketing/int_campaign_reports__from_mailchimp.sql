with
    reports as (select * from {{ ref("stg_mailchimp__reports") }}),
    final_cte as (
        select
            {{ source_key("mailchimp", "campaign_id") }} as campaign_id,
            'mailchimp' as source_system,
            currency_code,
            sent_count,
            hard_bounce_count,
            soft_bounce_count,
            open_count,
            unique_opener_count,
            proxy_excluded_open_count,
            proxy_excluded_opener_count,
            click_count,
            unique_clicker_count,
            unsubscribe_count,
            complaint_count,
            order_count,
            open_rate,
            proxy_excluded_open_rate,
            click_rate,
            revenue_amount,
            last_open_at,
            last_click_at
        from reports
    )

select *
from final_cte
