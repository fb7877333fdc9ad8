-- Every event of a visitor is in one session, and every view of it in its mart.
with
    events as (
        select
            count(visitor_id) as event_count,
            count(case when event_type = 'page' then 1 end) as page_count,
            count(case when event_type = 'screen' then 1 end) as screen_count
        from {{ ref("int_web_events__unioned") }}
    ),
    sessions as (
        select coalesce(sum(event_count), 0) as event_count
        from {{ ref("fct_web_sessions") }}
    ),
    page_views as (select count(*) as page_count from {{ ref("fct_page_views") }}),
    screen_views as (select count(*) as screen_count from {{ ref("fct_screen_views") }})

select events.*
from events
cross join sessions
cross join page_views
cross join screen_views
where
    events.event_count <> sessions.event_count
    or events.page_count <> page_views.page_count
    or events.screen_count <> screen_views.screen_count
