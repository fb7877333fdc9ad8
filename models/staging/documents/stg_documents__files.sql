with
    files as ({{ current_state(source("documents", "files")) }}),
    final_cte as (
        select
            file_id,
            path as file_path,
            status as file_status,
            reason as status_reason,
            size_bytes,
            cast(modified_at as timestamp) as modified_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from files
    )

select *
from final_cte
