with
    traffic as (select * from {{ ref("int_ga4_traffic__flagged") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    rated_traffic_cte as (
        select
            traffic.*,
            {{ rate_to_base("traffic.currency_code", "exchange_rates") }}
            as rate_to_base
        from traffic
        left join
            exchange_rates
            on traffic.currency_code = exchange_rates.currency_code
            and traffic.traffic_date = exchange_rates.rate_date
    ),
    final_cte as (
        select
            property_id,
            channel,
            source,
            medium,
            campaign_name,
            time_zone,
            currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            session_count,
            engaged_session_count,
            user_count,
            new_user_count,
            view_count,
            event_count,
            key_event_count,
            engagement_seconds,
            revenue_amount,
            {{ in_base_currency("revenue_amount", "rate_to_base") }}
            as revenue_amount_base,
            revenue_amount is not null and rate_to_base is null as is_rate_missing,
            is_sampled,
            is_thresholded,
            is_rolled_up,
            is_preliminary,
            traffic_date
        from rated_traffic_cte
    )

select *
from final_cte
