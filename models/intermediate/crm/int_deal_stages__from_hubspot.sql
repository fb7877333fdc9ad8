with
    pipeline_stages as (select * from {{ ref("stg_hubspot__pipeline_stages") }}),
    final_cte as (
        select
            {{ source_key("hubspot", "stage_id") }} as stage_id,
            {{ source_key("hubspot", "pipeline_id") }} as pipeline_id,
            'hubspot' as source_system,
            pipeline_name,
            stage_name,
            stage_order,
            probability as stage_probability,
            coalesce(is_closed and probability = 1, false) as is_won,
            coalesce(is_closed and probability < 1, false) as is_lost
        from pipeline_stages
        where object_type = 'deals'
    )

select *
from final_cte
