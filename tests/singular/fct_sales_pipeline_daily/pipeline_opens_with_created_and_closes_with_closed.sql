-- Of all deals that ever came into a pipeline's stages, those that are not closed are
-- open on the last day.
with
    last_days_cte as (
        select
            pipeline_id,
            date_day,
            sum(open_deal_count) as open_deal_count,
            sum(open_amount_base) as open_amount_base,
            row_number() over (
                partition by pipeline_id order by date_day desc
            ) as recency
        from {{ ref("fct_sales_pipeline_daily") }}
        group by pipeline_id, date_day
    ),
    deals_cte as (
        select
            pipeline_id,
            count(*) - count(case when is_won or is_lost then 1 end) as deal_count,
            coalesce(sum(case when is_open then deal_amount_base end), 0) as amount_base
        from {{ ref("fct_deals") }}
        where stage_id is not null
        group by pipeline_id
    )

select
    last_days_cte.pipeline_id,
    last_days_cte.open_deal_count,
    deals_cte.deal_count,
    last_days_cte.open_amount_base,
    deals_cte.amount_base
from last_days_cte
left join deals_cte on last_days_cte.pipeline_id = deals_cte.pipeline_id
where
    last_days_cte.recency = 1
    and (
        last_days_cte.open_deal_count <> coalesce(deals_cte.deal_count, 0)
        or last_days_cte.open_amount_base <> coalesce(deals_cte.amount_base, 0)
    )
