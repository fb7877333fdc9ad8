with
    stage_intervals as (select * from {{ ref("int_deal_stage_changes__intervals") }}),
    surroundings_cte as (
        select
            *,
            cast(
                row_number() over (
                    partition by deal_id, stage_id order by entered_at nulls first
                ) as bigint
            ) as visit_number,
            lead(stage_id) over (
                partition by deal_id order by entered_at nulls first
            ) as next_stage_id,
            lead(stage_name) over (
                partition by deal_id order by entered_at nulls first
            ) as next_stage_name,
            max(case when stage_outcome = 'open' then stage_order end) over (
                partition by deal_id, pipeline_id
                order by entered_at nulls first
                rows between 1 following and unbounded following
            ) as furthest_order_after,
            max(case when stage_outcome = 'won' then 1 else 0 end) over (
                partition by deal_id
                order by entered_at nulls first
                rows between 1 following and unbounded following
            )
            = 1 as is_won_after,
            first_value(stage_outcome) over (
                partition by deal_id order by entered_at desc
            ) as present_outcome
        from stage_intervals
    ),
    final_cte as (
        select
            deal_id,
            pipeline_id,
            stage_id,
            next_stage_id,
            source_system,
            pipeline_name,
            stage_name,
            next_stage_name,
            stage_outcome,
            stage_order,
            visit_number,
            cast({{ microseconds_between("entered_at", "left_at") }} as double)
            / 86400000000 as days_in_stage,
            left_at is null as is_open_interval,
            visit_number = 1 as is_first_visit,
            case
                when stage_outcome <> 'open'
                then null
                when furthest_order_after > stage_order or is_won_after
                then true
                when present_outcome <> 'open'
                then false
            end as is_converted,
            cast(
                date_trunc('month', {{ local_time("entered_at") }}) as date
            ) as entry_month_start_date,
            entered_at,
            left_at
        from surroundings_cte
    )

select *
from final_cte
