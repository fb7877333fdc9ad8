{{
    config(
        materialized="incremental",
        unique_key="message_id",
        pre_hook=[
            "{{ take_stock(source('events', 'events'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(source('events', 'events'), 'message_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    events as (
        {{ current_event(unsighted_rows(source("events", "events"), "message_id")) }}
    ),
    opened_cte as (
        select
            *,
            {{
                json_texts(
                    "context",
                    {
                        "context_url": "$.page.url",
                        "context_referrer": "$.page.referrer",
                        "context_title": "$.page.title",
                        "campaign_name": "$.campaign.name",
                        "campaign_source": "$.campaign.source",
                        "campaign_medium": "$.campaign.medium",
                        "campaign_term": "$.campaign.term",
                        "campaign_content": "$.campaign.content",
                        "user_agent": "$.userAgent",
                        "locale": "$.locale",
                        "library_name": "$.library.name",
                        "app_name": "$.app.name",
                        "app_version": "$.app.version",
                        "os_name": "$.os.name",
                        "device_type": "$.device.type",
                    },
                )
            }},
            {{
                json_texts(
                    "properties",
                    {
                        "property_url": "$.url",
                        "property_referrer": "$.referrer",
                        "property_title": "$.title",
                    },
                )
            }}
        from events
    ),
    -- By the device's clock; where that is far off when it sends, by how long before
    -- sending it was.
    timed_cte as (
        select
            *,
            case
                when original_timestamp is null
                then coalesce(timestamp, received_at)
                when {{ is_clock_off("sent_at", "received_at") }}
                then received_at - (sent_at - original_timestamp)
                else original_timestamp
            end as told_at
        from opened_cte
    ),
    final_cte as (
        select
            _key as message_id,
            event_type,
            nullif(event, '') as event_name,
            nullif(name, '') as page_name,
            nullif(category, '') as page_category,
            nullif(anonymous_id, '') as anonymous_id,
            nullif(user_id, '') as user_id,
            nullif(previous_id, '') as previous_id,
            nullif(group_id, '') as group_id,
            nullif(coalesce(context_url, property_url), '') as page_url,
            nullif(coalesce(context_referrer, property_referrer), '') as page_referrer,
            nullif(coalesce(context_title, property_title), '') as page_title,
            nullif(campaign_name, '') as campaign_name,
            nullif(campaign_source, '') as campaign_source,
            nullif(campaign_medium, '') as campaign_medium,
            nullif(campaign_term, '') as campaign_term,
            nullif(campaign_content, '') as campaign_content,
            nullif(user_agent, '') as user_agent,
            nullif(locale, '') as locale,
            nullif(library_name, '') as library_name,
            nullif(app_name, '') as app_name,
            nullif(app_version, '') as app_version,
            nullif(os_name, '') as os_name,
            nullif(device_type, '') as device_type,
            properties,
            traits,
            {{ is_bot("user_agent") }} as is_bot,
            cast(original_timestamp as timestamp) as original_at,
            cast(sent_at as timestamp) as sent_at,
            cast(received_at as timestamp) as received_at,
            -- Later than it came, or a season before: the clock says nothing. With no
            -- time at
            -- all it happened before we read it.
            cast(
                coalesce(
                    case
                        when {{ is_time_possible("told_at", "received_at") }}
                        then told_at
                        else received_at
                    end,
                    _observed_at
                ) as timestamp
            ) as occurred_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from timed_cte
    )

select *
from final_cte
