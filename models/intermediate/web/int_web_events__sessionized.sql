{{
    config(
        materialized="incremental",
        unique_key="event_id",
        pre_hook=[
            "{{ take_stock(ref('int_web_events__unioned'), 'built_in') }}",
            "{{ note_cuts(ref('int_web_events__unioned')) }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set columns -%}
    event_id, visitor_id, user_id, order_id, source_system, event_type, event_name, page_name, page_title,
    page_url, page_referrer, campaign_name, campaign_source, campaign_medium, platform, is_bot, occurred_at
{%- endset -%}
{%- set timeout = var("session_timeout_minutes") * 60000000 -%}
{%- set visitors_time = "partition by coalesce(visitor_id, ' ' || event_id) order by occurred_at, event_id" -%}
{%- set so_far = "rows between unbounded preceding and current row" -%}
{%- set before = "rows between unbounded preceding and 1 preceding" -%}

with
    new_events as (
        select * from {{ new_rows(ref("int_web_events__unioned"), "built_in") }}
    ),
    {% if is_incremental() %}
        -- New ones are left out by a join, which DuckDB does not move before the
        -- others.
        known_events_cte as (
            select known.*
            from {{ this }} as known
            inner join
                {{ companion("cuts") }} as cuts
                on known.visitor_id = cuts.visitor_id
                and known.session_started_at >= cuts.cut_at
            left join new_events on known.event_id = new_events.event_id
            where
                known.occurred_at >= (select min(cut_at) from {{ companion("cuts") }})
                and new_events.event_id is null
        ),
    {% endif %}
    events_cte as (
        select {{ columns }}
        from new_events
        {% if is_incremental() %}
            union all
            select {{ columns }}
            from known_events_cte
        {% endif %}
    ),
    spaced_cte as (
        select
            *,
            lag(occurred_at) over ({{ visitors_time }}) as previous_at,
            case
                when
                    coalesce(campaign_name, campaign_source, campaign_medium)
                    is not null
                then
                    coalesce(campaign_name, '')
                    || ' '
                    || coalesce(campaign_source, '')
                    || ' '
                    || coalesce(campaign_medium, '')
            end as campaign
        from events_cte
    ),
    timed_cte as (
        select
            *,
            case
                when previous_at is null
                then true
                {% if var("is_session_cut_at_midnight") %}
                    when
                        cast({{ local_time("previous_at") }} as date)
                        <> cast({{ local_time("occurred_at") }} as date)
                    then true
                {% endif %}
                else
                    {{ microseconds_between("previous_at", "occurred_at") }}
                    > {{ timeout }}
            end as is_session_start
        from spaced_cte
    ),
    {% if var("is_session_cut_at_campaign") %}
        visits_cte as (
            select
                *,
                {{
                    last_known(
                        "case when is_session_start then event_id end",
                        visitors_time ~ " " ~ so_far,
                    )
                }} as visit_id
            from timed_cte
        ),
        campaigns_cte as (
            select
                *,
                {{
                    last_known(
                        "campaign",
                        "partition by visit_id order by occurred_at, event_id "
                        ~ before,
                    )
                }} as previous_campaign
            from visits_cte
        ),
    {% endif %}
    begun_cte as (
        select
            {{ columns }},
            {% if var("is_session_cut_at_campaign") %}
                is_session_start
                or coalesce(
                    campaign <> coalesce(previous_campaign, ''), false
                ) as is_session_start
            {% else %} is_session_start
            {% endif %}
        from
            {% if var("is_session_cut_at_campaign") %} campaigns_cte
            {% else %} timed_cte
            {% endif %}
    ),
    cut_cte as (
        select
            *,
            {{
                last_known(
                    "case when is_session_start then event_id end",
                    visitors_time ~ " " ~ so_far,
                )
            }} as first_event_id,
            max(case when is_session_start then occurred_at end) over (
                {{ visitors_time ~ " " ~ so_far }}
            ) as started_at,
            max(case when event_type in ('page', 'screen') then occurred_at end) over (
                {{ visitors_time ~ " " ~ before }}
            ) as previous_view_at,
            {{
                last_known(
                    "case when event_type in ('page', 'screen') then event_id end",
                    visitors_time ~ " " ~ before,
                )
            }} as previous_view_id
        from begun_cte
    ),
    final_cte as (
        select
            {{ columns }},
            case
                when visitor_id is not null
                then md5(visitor_id || ' ' || first_event_id)
            end as session_id,
            case when visitor_id is not null then first_event_id end as first_event_id,
            is_session_start,
            event_type in ('page', 'screen')
            and (
                previous_view_at is null
                or previous_view_at < started_at
                or (previous_view_at = started_at and previous_view_id < first_event_id)
            ) as is_session_first_view,
            started_at as session_started_at,
            {{ built_in() }} as built_in
        from cut_cte
        -- What is old lies together, so that later builds need not read it.
        {% if not is_incremental() %} order by occurred_at nulls last {% endif %}
    )

select *
from final_cte
