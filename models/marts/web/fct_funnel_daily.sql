{{
    config(
        materialized="incremental",
        unique_key=["funnel_date", "platform", "channel", "funnel", "step_number"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_web_sessions__aggregated'), ref('int_funnel_steps__reached')], 'session_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('funnel_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    sessions as (
        select * from {{ ref("int_web_sessions__aggregated") }} where not is_bot
    ),
    reached_steps as (select * from {{ ref("int_funnel_steps__reached") }}),
    funnel_steps as (select * from {{ ref("funnel_steps") }}),
    days_cte as (
        select *
        from sessions
        {% if is_incremental() %}
            where session_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    channelled_cte as (
        select session_id, session_date, platform, channel
        from {{ with_channel("days_cte") }} as days
    ),
    steps_cte as (
        select funnel, step_number, max(step_name) as step_name
        from funnel_steps
        group by funnel, step_number
    ),
    groups_cte as (
        select session_date, platform, channel
        from channelled_cte
        group by session_date, platform, channel
    ),
    reached_cte as (
        select
            channelled_cte.session_date,
            channelled_cte.platform,
            channelled_cte.channel,
            reached_steps.funnel,
            reached_steps.step_number,
            count(*) as session_count
        from reached_steps
        inner join
            channelled_cte on reached_steps.session_id = channelled_cte.session_id
        group by
            channelled_cte.session_date,
            channelled_cte.platform,
            channelled_cte.channel,
            reached_steps.funnel,
            reached_steps.step_number
    ),
    -- A step that nobody reached has a row too.
    complete_cte as (
        select
            groups_cte.session_date,
            groups_cte.platform,
            groups_cte.channel,
            steps_cte.funnel,
            steps_cte.step_number,
            steps_cte.step_name,
            coalesce(reached_cte.session_count, 0) as session_count
        from groups_cte
        cross join steps_cte
        left join
            reached_cte
            on groups_cte.session_date = reached_cte.session_date
            and groups_cte.platform = reached_cte.platform
            and groups_cte.channel = reached_cte.channel
            and steps_cte.funnel = reached_cte.funnel
            and steps_cte.step_number = reached_cte.step_number
    ),
    compared_cte as (
        select
            *,
            lag(session_count) over (
                partition by session_date, platform, channel, funnel
                order by step_number nulls last
            ) as previous_count,
            first_value(session_count) over (
                partition by session_date, platform, channel, funnel
                order by step_number nulls last
            ) as first_count
        from complete_cte
    ),
    final_cte as (
        select
            funnel,
            platform,
            channel,
            step_name,
            cast(step_number as int) as step_number,
            session_count,
            {{ ratio("session_count", "previous_count") }} as share_of_previous_step,
            {{ ratio("session_count", "first_count") }} as share_of_first_step,
            session_date as funnel_date
        from compared_cte
    )

select *
from final_cte
