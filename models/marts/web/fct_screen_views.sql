{{
    config(
        materialized="incremental",
        unique_key="screen_view_id",
        pre_hook=[
            "{{ take_stock(ref('int_web_events__sessionized'), 'built_in') }}",
            "{{ forget_changed(ref('int_web_events__sessionized'), 'built_in', 'event_id', 'screen_view_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    events as (
        select * from {{ new_rows(ref("int_web_events__sessionized"), "built_in") }}
    ),
    final_cte as (
        select
            event_id as screen_view_id,
            session_id,
            visitor_id,
            user_id,
            page_name as screen_name,
            is_session_first_view as is_entrance,
            is_bot,
            cast({{ local_time("occurred_at") }} as date) as view_date,
            occurred_at as viewed_at
        from events
        where event_type = 'screen'
    )

select *
from final_cte
