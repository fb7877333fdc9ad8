-- Between two sessions of a visitor lies more than the timeout, unless they are cut
-- elsewhere too.
with
    neighbours as (
        select
            visitor_id,
            started_at,
            lag(ended_at) over (
                partition by visitor_id order by started_at nulls last
            ) as previous_ended_at
        from {{ ref("fct_web_sessions") }}
    )

select *
from neighbours
where
    {{ microseconds_between("previous_ended_at", "started_at") }}
    <= {{ var("session_timeout_minutes") }} * 60000000
    and not {{ var("is_session_cut_at_midnight") }}
    and not {{ var("is_session_cut_at_campaign") }}
