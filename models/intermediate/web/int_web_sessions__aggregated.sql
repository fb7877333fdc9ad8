{{
    config(
        materialized="incremental",
        unique_key="session_id",
        pre_hook=[
            "{{ take_stock(ref('int_web_events__sessionized'), 'built_in') }}",
            "{{ forget_changed(ref('int_web_events__sessionized'), 'built_in', 'event_id', 'first_event_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

-- A session that has changed has all of its events among the new rows. Read where they
-- are needed, since DuckDB keeps what a CTE holds that is used twice.
{%- set events = new_rows(ref("int_web_events__sessionized"), "built_in") %}

with
    counts_cte as (
        select
            session_id,
            max(user_id) as user_id,
            min(order_id) as order_id,
            count(*) as event_count,
            count(case when event_type = 'page' then 1 end) as page_view_count,
            count(case when event_type = 'screen' then 1 end) as screen_view_count,
            count(
                case
                    when
                        event_name in (
                            {% for name in var("key_events") %}
                                '{{ dbt.escape_single_quotes(name) }}'
                                {%- if not loop.last %}, {% endif %}
                            {% endfor %}
                        )
                    then 1
                end
            ) as key_event_count,
            bool_or(is_bot) as is_bot,
            max(occurred_at) as ended_at
        from {{ events }} as events
        where session_id is not null
        group by session_id
    ),
    starts_cte as (
        select *
        from {{ events }} as events
        where session_id is not null and is_session_start
    ),
    later_views_cte as (
        select *
        from {{ events }} as events
        where session_id is not null and is_session_first_view and not is_session_start
    ),
    -- What brought the visitor stands in the first view, or in the first event of a
    -- session
    -- that has none. Joined, since an aggregate over texts takes three times as long.
    landed_cte as (
        select
            counts_cte.*,
            starts_cte.event_id as first_event_id,
            starts_cte.visitor_id,
            starts_cte.platform,
            starts_cte.occurred_at as started_at,
            {% for column in [
                "page_url",
                "page_referrer",
                "campaign_name",
                "campaign_source",
                "campaign_medium",
            ] %}
                case
                    when later_views_cte.session_id is not null
                    then later_views_cte.{{ column }}
                    else starts_cte.{{ column }}
                end as {{ column }}
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from counts_cte
        inner join starts_cte on counts_cte.session_id = starts_cte.session_id
        left join later_views_cte on counts_cte.session_id = later_views_cte.session_id
    ),
    hosts_cte as (
        select
            *,
            {{ without_www(url_host("page_url")) }} as page_host,
            {{ without_www(url_host("page_referrer")) }} as referrer_host,
            -- Advertisements that say it in a parameter of their own.
            case
                when
                    page_url like '%gclid=%'
                    or page_url like '%gbraid=%'
                    or page_url like '%wbraid=%'
                then 'google'
                when page_url like '%msclkid=%'
                then 'bing'
            end as click_source
        from landed_cte
    ),
    sources_cte as (
        select
            *,
            coalesce(campaign_source, campaign_medium, campaign_name)
            is not null as has_campaign,
            -- Not a page of the same site.
            case
                when
                    referrer_host <> coalesce(page_host, '')
                    and not {{ is_below("referrer_host", "coalesce(page_host, '')") }}
                    and not {{ is_below("coalesce(page_host, '')", "referrer_host") }}
                then referrer_host
            end as outer_host
        from hosts_cte
    ),
    final_cte as (
        select
            session_id,
            first_event_id,
            visitor_id,
            user_id,
            order_id,
            platform,
            page_host as landing_host,
            {{ url_path("page_url") }} as landing_path,
            case
                when has_campaign
                then coalesce(campaign_source, '(not set)')
                else coalesce(click_source, outer_host, '(direct)')
            end as told_source,
            case
                when has_campaign
                then coalesce(campaign_medium, '(not set)')
                when click_source is not null
                then 'cpc'
                when outer_host is not null
                then 'referral'
                else '(none)'
            end as told_medium,
            case
                when has_campaign or click_source is not null
                then coalesce(campaign_name, '(not set)')
                when outer_host is not null
                then '(referral)'
                else '(direct)'
            end as campaign_name,
            event_count,
            page_view_count,
            screen_view_count,
            key_event_count,
            {{ microseconds_between("started_at", "ended_at") }}
            as duration_microseconds,
            is_bot,
            not has_campaign
            and click_source is null
            and outer_host is not null as is_referred,
            page_view_count + screen_view_count >= 2
            or key_event_count > 0
            or {{ microseconds_between("started_at", "ended_at") }}
            > {{ var("engaged_session_seconds") }} * 1000000 as is_engaged,
            cast({{ local_time("started_at") }} as date) as session_date,
            started_at,
            ended_at,
            {{ built_in() }} as built_in
        from sources_cte
    )

select *
from final_cte
