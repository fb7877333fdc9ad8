with
    enrichments as ({{ current_event(source("enrichments", "enrichments")) }}),
    final_cte as (
        select
            input_hash,
            method,
            method_version,
            input,
            output,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from enrichments
    )

select *
from final_cte
