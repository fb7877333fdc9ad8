with
    files as ({{ current_state(source("images", "files")) }}),
    final_cte as (
        select
            path as file_path,
            file_id,
            status,
            reason,
            size_bytes,
            cast(modified_at as timestamp) as modified_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from files
    )

select *
from final_cte
