-- Those who did something are no more than the times it was done, and parts are no more
-- than the whole.
select campaign_id
from {{ ref("fct_campaign_performance") }}
where
    unique_opener_count > open_count
    or proxy_excluded_open_count > open_count
    or proxy_excluded_opener_count > proxy_excluded_open_count
    or unique_opener_count <> proxy_excluded_opener_count + privacy_only_opener_count
    or unique_clicker_count > click_count
    or human_clicker_count > human_click_count
    or human_clicker_count > unique_clicker_count
    or unique_clicker_count > human_clicker_count + bot_clicker_count
    or delivered_count <> sent_count - hard_bounce_count - soft_bounce_count
    or delivered_count < 0
    or proxy_excluded_delivered_count > delivered_count
    or proxy_excluded_delivered_count < delivered_count - privacy_only_opener_count
