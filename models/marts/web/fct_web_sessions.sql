{{
    config(
        materialized="incremental",
        unique_key="session_id",
        pre_hook=[
            "{{ take_same_stock(ref('int_web_sessions__aggregated')) }}",
            "{{ forget_changed(ref('int_web_events__sessionized'), 'built_in', 'event_id', 'first_event_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    all_sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    {% if is_incremental() %}
        starts_cte as (
            select event_id, occurred_at
            from {{ new_rows(ref("int_web_events__sessionized"), "built_in") }}
            where is_session_start
        ),
    {% endif %}
    sessions_cte as (
        select *
        from all_sessions
        {% if is_incremental() %}
            where
                first_event_id in (select event_id from starts_cte)
                -- So that older ones are not read.
                and started_at >= (select min(occurred_at) from starts_cte)
        {% endif %}
    ),
    final_cte as (
        select
            session_id,
            first_event_id,
            visitor_id,
            user_id,
            order_id,
            platform,
            channel,
            source,
            medium,
            campaign_name,
            landing_host,
            landing_path,
            event_count,
            page_view_count,
            screen_view_count,
            key_event_count,
            cast(duration_microseconds as double) / 1000000 as duration_seconds,
            is_bot,
            is_engaged,
            session_date,
            started_at,
            ended_at
        from {{ with_channel("sessions_cte") }} as sessions
    )

select *
from final_cte
