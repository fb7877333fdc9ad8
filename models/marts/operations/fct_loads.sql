with
    loads as (select * from {{ ref("int_operations__loads_timed") }}),
    final_cte as (
        select
            load_id,
            run_id,
            source_system,
            stream,
            stream_kind,
            load_status,
            error,
            unknown_fields,
            rows_read,
            rows_loaded,
            rows_unchanged,
            rows_rejected,
            rows_marked_gone,
            duration_seconds,
            cursor_from_at,
            cursor_to_at,
            started_at,
            finished_at
        from loads
    )

select *
from final_cte
