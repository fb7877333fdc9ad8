{{
    config(
        materialized="incremental",
        unique_key="page_view_id",
        pre_hook=[
            "{{ take_stock(ref('int_web_events__sessionized'), 'built_in') }}",
            "{{ forget_changed(ref('int_web_events__sessionized'), 'built_in', 'event_id', 'page_view_id') }}",
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
            event_id as page_view_id,
            session_id,
            visitor_id,
            user_id,
            {{ without_www(url_host("page_url")) }} as page_host,
            {{ url_path("page_url") }} as page_path,
            page_title,
            page_url,
            page_referrer,
            is_session_first_view as is_entrance,
            is_bot,
            cast({{ local_time("occurred_at") }} as date) as view_date,
            occurred_at as viewed_at
        from events
        where event_type = 'page'
    )

select *
from final_cte
