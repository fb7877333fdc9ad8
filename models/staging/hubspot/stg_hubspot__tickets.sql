with
    tickets as ({{ current_state(source("hubspot", "tickets")) }}),
    final_cte as (
        select
            ticket_id,
            nullif(pipeline_id, '') as pipeline_id,
            nullif(stage_id, '') as stage_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("subject") }} as subject,
            upper({{ clean_text("priority") }}) as priority,
            custom_properties,
            cast(closed_at as timestamp) as closed_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from tickets
    )

select *
from final_cte
