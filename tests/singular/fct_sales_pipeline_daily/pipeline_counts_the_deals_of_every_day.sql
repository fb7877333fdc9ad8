-- The deals in a stage in the evening are those that came into it by then and had not
-- left it, counted one by one on the first day of every month.
with
    first_days_cte as (
        select *
        from {{ ref("fct_sales_pipeline_daily") }}
        where extract(day from date_day) = 1
    ),
    counts_cte as (
        select
            first_days_cte.stage_id,
            first_days_cte.date_day,
            count(*) as deal_count,
            coalesce(sum(deals.deal_amount_base), 0) as amount_base
        from first_days_cte
        inner join
            {{ ref("fct_deal_stage_intervals") }} as stage_intervals
            on first_days_cte.pipeline_id = stage_intervals.pipeline_id
            and first_days_cte.stage_id = stage_intervals.stage_id
            and cast({{ local_time("stage_intervals.entered_at") }} as date)
            <= first_days_cte.date_day
            and (
                stage_intervals.left_at is null
                or cast({{ local_time("stage_intervals.left_at") }} as date)
                > first_days_cte.date_day
            )
        inner join
            {{ ref("fct_deals") }} as deals on stage_intervals.deal_id = deals.deal_id
        group by first_days_cte.stage_id, first_days_cte.date_day
    )

select
    first_days_cte.stage_id,
    first_days_cte.date_day,
    first_days_cte.deal_count,
    counts_cte.deal_count as expected_count,
    first_days_cte.open_amount_base,
    counts_cte.amount_base as expected_amount
from first_days_cte
left join
    counts_cte
    on first_days_cte.stage_id = counts_cte.stage_id
    and first_days_cte.date_day = counts_cte.date_day
where
    first_days_cte.deal_count <> coalesce(counts_cte.deal_count, 0)
    or (
        first_days_cte.stage_outcome = 'open'
        and first_days_cte.open_amount_base <> coalesce(counts_cte.amount_base, 0)
    )
    or (
        first_days_cte.stage_outcome <> 'open'
        and (
            first_days_cte.open_deal_count <> 0 or first_days_cte.open_amount_base <> 0
        )
    )
