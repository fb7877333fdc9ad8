with
    pipeline_stages as ({{ current_snapshot(source("hubspot", "pipeline_stages")) }}),
    final_cte as (
        select
            pipeline_id,
            stage_id,
            object_type,
            {{ clean_text("pipeline_name") }} as pipeline_name,
            {{ clean_text("stage_name") }} as stage_name,
            pipeline_order,
            stage_order,
            probability,
            is_closed,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from pipeline_stages
    )

select *
from final_cte
