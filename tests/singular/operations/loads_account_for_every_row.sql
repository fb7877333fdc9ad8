-- Every row read is loaded, unchanged or rejected.
select
    source_system, run_id, stream, rows_read, rows_loaded, rows_unchanged, rows_rejected
from {{ ref("fct_loads") }}
where rows_read <> rows_loaded + rows_unchanged + rows_rejected
