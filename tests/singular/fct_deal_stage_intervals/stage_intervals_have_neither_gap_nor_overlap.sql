-- Intervals are not empty, each ends when the deal's next one begins, and only the last
-- one is open.
with
    neighbours_cte as (
        select
            deal_id,
            entered_at,
            left_at,
            is_open_interval,
            next_stage_id,
            lead(entered_at) over (
                partition by deal_id order by entered_at nulls first
            ) as next_entered_at
        from {{ ref("fct_deal_stage_intervals") }}
    )

select *
from neighbours_cte
where
    left_at <= entered_at
    or is_open_interval <> (next_entered_at is null)
    or is_open_interval <> (left_at is null)
    or is_open_interval <> (next_stage_id is null)
    or left_at <> next_entered_at
