with
    campaigns as (select * from {{ ref("dim_campaigns") }}),
    email_events as (select * from {{ ref("fct_email_events") }}),
    reports as (select * from {{ ref("int_campaign_reports__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    recipients_cte as (
        select
            campaign_id,
            contact_id,
            count_if(event_type = 'open') as open_count,
            count_if(
                event_type = 'open' and not is_privacy_open
            ) as proxy_excluded_open_count,
            count_if(event_type = 'click') as click_count,
            count_if(event_type = 'click' and not is_bot_click) as human_click_count,
            bool_or(event_type = 'sent') as is_sent,
            bool_or(event_type = 'bounce') as is_bounced,
            bool_or(
                event_type = 'bounce' and coalesce(bounce_type, 'soft') = 'hard'
            ) as is_bounced_hard,
            bool_or(event_type = 'unsubscribe') as is_unsubscribed
        from email_events
        group by campaign_id, contact_id
    ),
    -- Until the campaign's recipients are read, whoever did something is one.
    assumed_recipients_cte as (
        select
            *,
            is_sent
            or not bool_or(is_sent) over (partition by campaign_id) as is_recipient
        from recipients_cte
    ),
    campaign_totals_cte as (
        select
            campaign_id,
            count_if(is_sent) as sent_count,
            count_if(is_sent and is_bounced_hard) as hard_bounce_count,
            count_if(
                is_sent and is_bounced and not is_bounced_hard
            ) as soft_bounce_count,
            bool_or(is_sent) as is_recipients_read,
            sum(open_count) as open_count,
            sum(proxy_excluded_open_count) as proxy_excluded_open_count,
            count_if(open_count > 0) as unique_opener_count,
            count_if(proxy_excluded_open_count > 0) as proxy_excluded_opener_count,
            count_if(
                is_recipient
                and not is_bounced
                and open_count > 0
                and proxy_excluded_open_count = 0
            ) as privacy_only_delivered_count,
            sum(click_count) as click_count,
            sum(human_click_count) as human_click_count,
            count_if(click_count > 0) as unique_clicker_count,
            count_if(human_click_count > 0) as human_clicker_count,
            count_if(click_count > human_click_count) as bot_clicker_count,
            count_if(is_unsubscribed) as unsubscribe_count
        from assumed_recipients_cte
        group by campaign_id
    ),
    sent_campaigns_cte as (
        select
            campaigns.*,
            {% for count in [
                "open_count",
                "proxy_excluded_open_count",
                "unique_opener_count",
                "proxy_excluded_opener_count",
                "privacy_only_delivered_count",
                "click_count",
                "human_click_count",
                "unique_clicker_count",
                "human_clicker_count",
                "bot_clicker_count",
                "unsubscribe_count",
            ] %}
                cast(
                    coalesce(campaign_totals_cte.{{ count }}, 0) as bigint
                ) as {{ count }},
            {% endfor %}
            {% for count in ["sent_count", "hard_bounce_count", "soft_bounce_count"] %}
                cast(
                    coalesce(
                        case
                            when campaign_totals_cte.is_recipients_read
                            then campaign_totals_cte.{{ count }}
                            else reports.{{ count }}
                        end,
                        0
                    ) as bigint
                ) as {{ count }},
            {% endfor %}
            coalesce(
                campaign_totals_cte.is_recipients_read, false
            ) as is_recipients_read,
            {{ rate_to_base("reports.currency_code", "exchange_rates") }}
            as rate_to_base,
            reports.currency_code,
            reports.sent_count as reported_sent_count,
            reports.hard_bounce_count as reported_hard_bounce_count,
            reports.soft_bounce_count as reported_soft_bounce_count,
            reports.open_count as reported_open_count,
            reports.unique_opener_count as reported_unique_opener_count,
            reports.proxy_excluded_open_count as reported_proxy_excluded_open_count,
            reports.proxy_excluded_opener_count as reported_proxy_excluded_opener_count,
            reports.click_count as reported_click_count,
            reports.unique_clicker_count as reported_unique_clicker_count,
            reports.unsubscribe_count as reported_unsubscribe_count,
            reports.complaint_count as reported_complaint_count,
            reports.order_count as reported_order_count,
            reports.open_rate as reported_open_rate,
            reports.proxy_excluded_open_rate as reported_proxy_excluded_open_rate,
            reports.click_rate as reported_click_rate,
            reports.revenue_amount as reported_revenue_amount,
            reports.last_open_at as reported_last_open_at,
            reports.last_click_at as reported_last_click_at
        from campaigns
        left join
            campaign_totals_cte
            on campaigns.campaign_id = campaign_totals_cte.campaign_id
        left join reports on campaigns.campaign_id = reports.campaign_id
        left join
            exchange_rates
            on reports.currency_code = exchange_rates.currency_code
            and campaigns.sent_date = exchange_rates.rate_date
        where campaigns.is_sent
    ),
    delivered_campaigns_cte as (
        select *, sent_count - hard_bounce_count - soft_bounce_count as delivered_count
        from sent_campaigns_cte
    ),
    openable_campaigns_cte as (
        select
            *,
            greatest(
                delivered_count - privacy_only_delivered_count, 0
            ) as proxy_excluded_delivered_count
        from delivered_campaigns_cte
    ),
    final_cte as (
        select
            campaign_id,
            audience_id,
            source_system,
            currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            sent_count,
            hard_bounce_count,
            soft_bounce_count,
            delivered_count,
            open_count,
            proxy_excluded_open_count,
            unique_opener_count,
            proxy_excluded_opener_count,
            unique_opener_count
            - proxy_excluded_opener_count as privacy_only_opener_count,
            proxy_excluded_delivered_count,
            click_count,
            human_click_count,
            unique_clicker_count,
            human_clicker_count,
            bot_clicker_count,
            unsubscribe_count,
            {{ ratio("hard_bounce_count + soft_bounce_count", "sent_count") }}
            as bounce_rate,
            {{ ratio("unique_opener_count", "delivered_count") }} as open_rate,
            {{ ratio("proxy_excluded_opener_count", "proxy_excluded_delivered_count") }}
            as proxy_excluded_open_rate,
            {{ ratio("human_clicker_count", "delivered_count") }} as click_rate,
            case
                when unique_opener_count >= {{ var("click_to_open_min_openers") }}
                then {{ ratio("human_clicker_count", "unique_opener_count") }}
            end as click_to_open_rate,
            {{ ratio("unsubscribe_count", "delivered_count") }} as unsubscribe_rate,
            {{ ratio("reported_complaint_count", "delivered_count") }}
            as complaint_rate,
            reported_sent_count,
            reported_hard_bounce_count,
            reported_soft_bounce_count,
            reported_open_count,
            reported_unique_opener_count,
            reported_proxy_excluded_open_count,
            reported_proxy_excluded_opener_count,
            reported_click_count,
            reported_unique_clicker_count,
            reported_unsubscribe_count,
            reported_complaint_count,
            reported_order_count,
            reported_open_rate,
            reported_proxy_excluded_open_rate,
            reported_click_rate,
            reported_revenue_amount,
            {{ in_base_currency("reported_revenue_amount", "rate_to_base") }}
            as reported_revenue_amount_base,
            reported_revenue_amount is not null
            and rate_to_base is null as is_rate_missing,
            is_recipients_read,
            sent_date,
            sent_at,
            reported_last_open_at,
            reported_last_click_at
        from openable_campaigns_cte
    )

select *
from final_cte
