with
    sessions as (select * from {{ ref("fct_web_sessions") }}),
    reached_steps as (select * from {{ ref("int_funnel_steps__reached") }}),
    funnel_steps as (select * from {{ ref("funnel_steps") }}),
    steps_cte as (
        select funnel, step_number, max(step_name) as step_name
        from funnel_steps
        group by funnel, step_number
    ),
    groups_cte as (
        select session_date, platform, channel
        from sessions
        where not is_bot
        group by session_date, platform, channel
    ),
    reached_cte as (
        select
            sessions.session_date,
            sessions.platform,
            sessions.channel,
            reached_steps.funnel,
            reached_steps.step_number,
            count(*) as session_count
        from reached_steps
        inner join sessions on reached_steps.session_id = sessions.session_id
        where not sessions.is_bot
        group by
            sessions.session_date,
            sessions.platform,
            sessions.channel,
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
