{{
    config(
        materialized="incremental",
        unique_key=["session_id", "funnel", "step_number"],
        pre_hook=[
            "{{ take_same_stock(ref('int_web_sessions__aggregated')) }}",
            "{{ forget_changed(ref('int_web_events__sessionized'), 'built_in', 'event_id', 'first_event_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

-- Read where they are needed, as in int_web_sessions__aggregated; and taken in after
-- it,
-- since both at once need more memory than there may be.
{%- set events = new_rows(ref("int_web_events__sessionized"), "built_in") %}

with
    funnel_steps as (select * from {{ ref("funnel_steps") }}),
    happened_cte as (
        select session_id, event_type, event_name, page_url, page_name, occurred_at
        from {{ events }} as events
        where session_id is not null
        union all
        select
            session_id,
            'session_start' as event_type,
            event_name,
            page_url,
            page_name,
            occurred_at
        from {{ events }} as events
        where session_id is not null and is_session_start
    ),
    steps_cte as (
        select
            happened_cte.session_id,
            funnel_steps.funnel,
            funnel_steps.step_number,
            happened_cte.occurred_at
        from happened_cte
        inner join funnel_steps on happened_cte.event_type = funnel_steps.event_type
        where
            coalesce(funnel_steps.event_name, happened_cte.event_name, '')
            = coalesce(happened_cte.event_name, '')
            and case
                when funnel_steps.path_pattern is null
                then true
                else
                    {{
                        matches_pattern(
                            "coalesce("
                            ~ url_path("happened_cte.page_url")
                            ~ ", happened_cte.page_name, '')",
                            "funnel_steps.path_pattern",
                        )
                    }}
            end
    ),
    -- One step after the other: the first time at or after the step before.
    step_1_cte as (
        select session_id, funnel, 1 as step_number, min(occurred_at) as reached_at
        from steps_cte
        where step_number = 1
        group by session_id, funnel
    ),
    {% for number in range(2, var("funnel_steps_at_most") + 1) %}
        step_{{ number }}_cte as (
            select
                steps_cte.session_id,
                steps_cte.funnel,
                {{ number }} as step_number,
                min(steps_cte.occurred_at) as reached_at
            from steps_cte
            inner join
                step_{{ number - 1 }}_cte as step_before
                on steps_cte.session_id = step_before.session_id
                and steps_cte.funnel = step_before.funnel
            where
                steps_cte.step_number = {{ number }}
                and steps_cte.occurred_at >= step_before.reached_at
            group by steps_cte.session_id, steps_cte.funnel
        ),
    {% endfor %}
    reached_cte as (
        {% for number in range(1, var("funnel_steps_at_most") + 1) %}
            select *
            from step_{{ number }}_cte
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    starts_cte as (
        select session_id, first_event_id, occurred_at
        from {{ events }} as events
        where session_id is not null and is_session_start
    ),
    final_cte as (
        select
            reached_cte.session_id,
            starts_cte.first_event_id,
            reached_cte.funnel,
            reached_cte.step_number,
            reached_cte.reached_at,
            cast({{ local_time("starts_cte.occurred_at") }} as date) as session_date,
            {{ built_in() }} as built_in
        from reached_cte
        inner join starts_cte on reached_cte.session_id = starts_cte.session_id
    )

select *
from final_cte
