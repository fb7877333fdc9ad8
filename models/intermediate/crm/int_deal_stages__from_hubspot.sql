with
    pipeline_stages as (select * from {{ ref("stg_hubspot__pipeline_stages") }}),
    deals as (select * from {{ ref("stg_hubspot__deals") }}),
    deal_pipeline_stages_cte as (
        select * from pipeline_stages where object_type = 'deals'
    ),
    -- Every deal tells what its stage makes of it, which counts where the pipelines do
    -- not say it, or could not be read.
    told_stages_cte as (
        select
            stage_id,
            {{ last_by("pipeline_id", "updated_at") }} as pipeline_id,
            {{ last_by("stage_probability", "updated_at") }} as probability,
            {{ last_by("is_closed", "updated_at") }} as is_closed,
            {{ last_by("is_won", "updated_at") }} as is_won
        from deals
        where stage_id is not null and pipeline_id is not null
        group by stage_id
    ),
    stages_cte as (
        select
            coalesce(
                deal_pipeline_stages_cte.stage_id, told_stages_cte.stage_id
            ) as stage_id,
            coalesce(
                deal_pipeline_stages_cte.pipeline_id, told_stages_cte.pipeline_id
            ) as pipeline_id,
            deal_pipeline_stages_cte.pipeline_name,
            deal_pipeline_stages_cte.stage_name,
            deal_pipeline_stages_cte.stage_order,
            coalesce(
                deal_pipeline_stages_cte.probability, told_stages_cte.probability
            ) as stage_probability,
            coalesce(
                deal_pipeline_stages_cte.is_closed, told_stages_cte.is_closed
            ) as is_closed,
            coalesce(
                deal_pipeline_stages_cte.probability = 1, told_stages_cte.is_won
            ) as is_certain
        from deal_pipeline_stages_cte
        full outer join
            told_stages_cte
            on deal_pipeline_stages_cte.stage_id = told_stages_cte.stage_id
    ),
    final_cte as (
        select
            {{ source_key("hubspot", "stage_id") }} as stage_id,
            {{ source_key("hubspot", "pipeline_id") }} as pipeline_id,
            'hubspot' as source_system,
            pipeline_name,
            stage_name,
            stage_order,
            stage_probability,
            coalesce(is_closed and is_certain, false) as is_won,
            coalesce(is_closed and not is_certain, false) as is_lost
        from stages_cte
    )

select *
from final_cte
