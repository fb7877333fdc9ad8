-- What was won and lost up to the last day, by count and value, is what the deals say:
-- each once.
with
    pipelines_cte as (
        select
            pipeline_id,
            sum(won_deal_count) as won_deal_count,
            sum(lost_deal_count) as lost_deal_count,
            sum(won_amount_base) as won_amount_base,
            sum(lost_amount_base) as lost_amount_base,
            max(date_day) as last_day
        from {{ ref("fct_sales_pipeline_daily") }}
        group by pipeline_id
    ),
    deals_cte as (
        select
            pipelines_cte.pipeline_id,
            count(case when deals.is_won then 1 end) as won_deal_count,
            count(case when deals.is_lost then 1 end) as lost_deal_count,
            coalesce(
                sum(case when deals.is_won then deals.deal_amount_base end), 0
            ) as won_amount_base,
            coalesce(
                sum(case when deals.is_lost then deals.deal_amount_base end), 0
            ) as lost_amount_base
        from pipelines_cte
        left join
            {{ ref("fct_deals") }} as deals
            on pipelines_cte.pipeline_id = deals.pipeline_id
            and deals.closed_date <= pipelines_cte.last_day
        group by pipelines_cte.pipeline_id
    )

select pipelines_cte.*
from pipelines_cte
inner join deals_cte on pipelines_cte.pipeline_id = deals_cte.pipeline_id
where
    pipelines_cte.won_deal_count <> deals_cte.won_deal_count
    or pipelines_cte.lost_deal_count <> deals_cte.lost_deal_count
    or pipelines_cte.won_amount_base <> deals_cte.won_amount_base
    or pipelines_cte.lost_amount_base <> deals_cte.lost_amount_base
