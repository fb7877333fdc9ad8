with
    notes as ({{ current_state(source("hubspot", "notes")) }}),
    final_cte as (
        select
            note_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("body") }} as body,
            custom_properties,
            cast(occurred_at as timestamp) as occurred_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from notes
    )

select *
from final_cte
