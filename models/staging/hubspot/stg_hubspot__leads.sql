with
    leads as ({{ current_state(source("hubspot", "leads")) }}),
    final_cte as (
        select
            lead_id,
            nullif(pipeline_id, '') as pipeline_id,
            nullif(stage_id, '') as stage_id,
            nullif(primary_contact_id, '') as primary_contact_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("lead_name") }} as lead_name,
            upper({{ clean_text("lead_type") }}) as lead_type,
            custom_properties,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from leads
    )

select *
from final_cte
