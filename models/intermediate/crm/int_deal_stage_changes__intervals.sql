{{ config(materialized="table") }}

with
    stage_changes as (select * from {{ ref("int_deal_stage_changes__unioned") }}),
    deals as (select * from {{ ref("int_deals__unioned") }}),
    stages as (select * from {{ ref("int_deal_stages__unioned") }}),
    neighbours_cte as (
        select
            *,
            lag(stage_id) over (
                partition by deal_id order by changed_at nulls first
            ) as previous_stage_id
        from stage_changes
    ),
    -- A stage that is set once more is no new interval.
    intervals_cte as (
        select
            deal_id,
            stage_id,
            changed_at as entered_at,
            lead(changed_at) over (
                partition by deal_id order by changed_at nulls first
            ) as left_at
        from neighbours_cte
        where previous_stage_id is null or previous_stage_id <> stage_id
    ),
    staged_cte as (
        select
            intervals_cte.deal_id,
            -- A stage is in one pipeline; one that was deleted is looked for in the
            -- deal's.
            coalesce(stages.pipeline_id, deals.pipeline_id) as pipeline_id,
            intervals_cte.stage_id,
            deals.source_system,
            stages.pipeline_name,
            stages.stage_name,
            case
                when stages.is_won
                then 'won'
                when stages.is_lost
                then 'lost'
                else 'open'
            end as stage_outcome,
            stages.stage_order,
            stages.stage_probability,
            intervals_cte.entered_at,
            intervals_cte.left_at
        from intervals_cte
        inner join deals on intervals_cte.deal_id = deals.deal_id
        left join stages on intervals_cte.stage_id = stages.stage_id
    ),
    outcomes_cte as (
        select
            *,
            lag(stage_outcome) over (
                partition by deal_id order by entered_at nulls first
            ) as previous_outcome
        from staged_cte
    ),
    final_cte as (
        select
            deal_id,
            pipeline_id,
            stage_id,
            source_system,
            pipeline_name,
            stage_name,
            stage_outcome,
            stage_order,
            stage_probability,
            entered_at,
            left_at,
            -- The last time by then that the outcome became another one.
            max(
                case
                    when previous_outcome is null or previous_outcome <> stage_outcome
                    then entered_at
                end
            ) over (
                partition by deal_id
                order by entered_at nulls first
                rows between unbounded preceding and current row
            ) as outcome_since_at
        from outcomes_cte
    )

select *
from final_cte
