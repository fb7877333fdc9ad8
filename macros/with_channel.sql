{# Sessions, as of int_web_sessions__aggregated, with `channel`, `source` and `medium` of what brought the visitor. #}
{% macro with_channel(sessions) -%}
    (
        select
            sessions.*,
            traffic_sources.channel,
            traffic_sources.source,
            traffic_sources.medium
        from {{ sessions }} as sessions
        left join
            {{ ref("int_traffic_sources__channelled") }} as traffic_sources
            on sessions.told_source = traffic_sources.told_source
            and sessions.told_medium = traffic_sources.told_medium
            and sessions.campaign_name = traffic_sources.campaign_name
            and sessions.is_referred = traffic_sources.is_referred
    )
{%- endmacro %}
