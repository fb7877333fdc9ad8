-- Every deal is in the cohort of its first visit to an open stage, once, and has
-- converted, not converted, or may still do so.
with
    expected_cte as (
        select stage_id, count(distinct deal_id) as deal_count
        from {{ ref("fct_deal_stage_intervals") }}
        where stage_outcome = 'open'
        group by stage_id
    ),
    actual_cte as (
        select
            stage_id,
            sum(entered_deal_count) as deal_count,
            sum(
                converted_deal_count + lost_deal_count + censored_deal_count
            ) as outcome_count
        from {{ ref("fct_stage_conversions_monthly") }}
        group by stage_id
    )

select expected_cte.stage_id, expected_cte.deal_count, actual_cte.outcome_count
from expected_cte
left join actual_cte on expected_cte.stage_id = actual_cte.stage_id
where
    expected_cte.deal_count <> coalesce(actual_cte.deal_count, 0)
    or expected_cte.deal_count <> coalesce(actual_cte.outcome_count, 0)
