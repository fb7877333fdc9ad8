with
    meetings as ({{ current_state(source("hubspot", "meetings")) }}),
    final_cte as (
        select
            meeting_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("title") }} as title,
            upper({{ clean_text("outcome") }}) as outcome,
            custom_properties,
            cast(starts_at as timestamp) as starts_at,
            cast(ends_at as timestamp) as ends_at,
            cast(occurred_at as timestamp) as occurred_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from meetings
    )

select *
from final_cte
