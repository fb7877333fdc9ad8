with
    associations as ({{ current_snapshot(source("hubspot", "associations")) }}),
    final_cte as (
        select
            from_id,
            to_id,
            type_id,
            from_type,
            to_type,
            category,
            {{ clean_text("label") }} as label,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from associations
    )

select *
from final_cte
