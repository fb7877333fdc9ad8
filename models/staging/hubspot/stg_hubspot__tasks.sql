with
    tasks as ({{ current_state(source("hubspot", "tasks")) }}),
    final_cte as (
        select
            task_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("subject") }} as subject,
            upper({{ clean_text("task_type") }}) as task_type,
            upper({{ clean_text("status") }}) as status,
            upper({{ clean_text("priority") }}) as priority,
            custom_properties,
            cast(completed_at as timestamp) as completed_at,
            cast(occurred_at as timestamp) as occurred_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from tasks
    )

select *
from final_cte
