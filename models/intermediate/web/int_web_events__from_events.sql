with
    events as (select * from {{ ref("stg_events__events") }}),
    -- Libraries on a server pass the page on, and do not take its parameters apart.
    tagged_cte as (
        select
            *,
            {% for parameter in ["utm_campaign", "utm_source", "utm_medium"] %}
                case
                    when page_url like '%utm!_%' escape '!'
                    then {{ url_parameter("page_url", parameter) }}
                end as {{ parameter }}
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from events
    ),
    final_cte as (
        select
            {{ source_key("events", "message_id") }} as event_id,
            {{ source_key("events", "anonymous_id") }} as visitor_id,
            user_id,
            -- Other calls have an order's id as well, before it is placed and after.
            case
                when event_name = 'Order Completed'
                then nullif({{ json_text("properties", "$.order_id") }}, '')
            end as order_id,
            'events' as source_system,
            event_type,
            event_name,
            page_name,
            page_title,
            page_url,
            page_referrer,
            coalesce(campaign_name, utm_campaign) as campaign_name,
            coalesce(campaign_source, utm_source) as campaign_source,
            coalesce(campaign_medium, utm_medium) as campaign_medium,
            case
                when event_type = 'screen' or app_name is not null then 'app' else 'web'
            end as platform,
            is_bot,
            occurred_at,
            built_in
        from tagged_cte
    )

select *
from final_cte
