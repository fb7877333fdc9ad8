with
    stage_intervals as (select * from {{ ref("fct_deal_stage_intervals") }}),
    cohorts_cte as (
        select
            pipeline_id,
            stage_id,
            source_system,
            max(pipeline_name) as pipeline_name,
            max(stage_name) as stage_name,
            max(stage_order) as stage_order,
            count(*) as entered_deal_count,
            count(*) filter (where is_converted) as converted_deal_count,
            count(*) filter (where not is_converted) as lost_deal_count,
            count(*) filter (where is_converted is null) as censored_deal_count,
            entry_month_start_date
        from stage_intervals
        where is_first_visit and stage_outcome = 'open'
        group by pipeline_id, stage_id, source_system, entry_month_start_date
    ),
    final_cte as (
        select
            pipeline_id,
            stage_id,
            source_system,
            pipeline_name,
            stage_name,
            stage_order,
            entered_deal_count,
            converted_deal_count,
            lost_deal_count,
            censored_deal_count,
            {{
                ratio(
                    "converted_deal_count",
                    "converted_deal_count + lost_deal_count",
                )
            }} as conversion_ratio,
            entry_month_start_date
        from cohorts_cte
    )

select *
from final_cte
