with
    pipeline_days as (select * from {{ ref("fct_sales_pipeline_daily") }}),
    deals as (select * from {{ ref("fct_deals") }}),
    days_cte as (
        select
            pipeline_id,
            source_system,
            max(pipeline_name) as pipeline_name,
            sum(open_deal_count) as open_deal_count,
            sum(won_deal_count) as won_deal_count,
            sum(lost_deal_count) as lost_deal_count,
            sum(won_amount_base) as won_amount_base,
            sum(lost_amount_base) as lost_amount_base,
            date_day
        from pipeline_days
        group by pipeline_id, source_system, date_day
    ),
    months_cte as (
        select
            pipeline_id,
            source_system,
            max(pipeline_name) as pipeline_name,
            max_by(open_deal_count, date_day) as open_deal_count,
            sum(won_deal_count) as won_deal_count,
            sum(lost_deal_count) as lost_deal_count,
            sum(won_amount_base) as won_amount_base,
            sum(lost_amount_base) as lost_amount_base,
            cast(date_trunc('month', date_day) as date) as month_start_date
        from days_cte
        group by pipeline_id, source_system, cast(date_trunc('month', date_day) as date)
    ),
    won_deals_cte as (
        select
            pipeline_id,
            count(deal_amount_base) as valued_deal_count,
            median(sales_cycle_days) as median_sales_cycle_days,
            cast(date_trunc('month', closed_date) as date) as month_start_date
        from deals
        where is_won
        group by pipeline_id, cast(date_trunc('month', closed_date) as date)
    ),
    ratios_cte as (
        select
            months_cte.*,
            {{
                ratio(
                    "months_cte.won_deal_count",
                    "months_cte.won_deal_count + months_cte.lost_deal_count",
                )
            }} as win_ratio_by_count,
            {{
                ratio(
                    "months_cte.won_amount_base",
                    "months_cte.won_amount_base + months_cte.lost_amount_base",
                )
            }} as win_ratio_by_amount,
            {{ ratio("months_cte.won_amount_base", "won_deals_cte.valued_deal_count") }}
            as average_won_amount_base,
            won_deals_cte.median_sales_cycle_days
        from months_cte
        left join
            won_deals_cte
            on months_cte.pipeline_id = won_deals_cte.pipeline_id
            and months_cte.month_start_date = won_deals_cte.month_start_date
    ),
    final_cte as (
        select
            pipeline_id,
            source_system,
            pipeline_name,
            '{{ var("base_currency") }}' as base_currency_code,
            cast(open_deal_count as bigint) as open_deal_count,
            cast(won_deal_count as bigint) as won_deal_count,
            cast(lost_deal_count as bigint) as lost_deal_count,
            cast(won_amount_base as decimal(18, 4)) as won_amount_base,
            cast(lost_amount_base as decimal(18, 4)) as lost_amount_base,
            win_ratio_by_count,
            win_ratio_by_amount,
            average_won_amount_base,
            median_sales_cycle_days,
            {{
                ratio(
                    "open_deal_count * win_ratio_by_count * average_won_amount_base",
                    "median_sales_cycle_days",
                )
            }} as velocity_amount_base_per_day,
            month_start_date
        from ratios_cte
    )

select *
from final_cte
