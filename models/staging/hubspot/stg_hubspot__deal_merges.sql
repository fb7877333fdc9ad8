with
    deals as (
        {{ state_versions(rows_with("merged_ids", source("hubspot", "deals"))) }}
    ),
    final_cte as (
        select
            deal_id,
            merged_ids,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from deals
    )

select *
from final_cte
