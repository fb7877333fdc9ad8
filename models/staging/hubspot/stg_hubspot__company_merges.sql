with
    companies as (
        {{ state_versions(rows_with("merged_ids", source("hubspot", "companies"))) }}
    ),
    final_cte as (
        select
            company_id,
            merged_ids,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from companies
    )

select *
from final_cte
