with
    loads as (select * from {{ ref("stg_operations__load_ledger") }}),
    final_cte as (
        select
            load_id,
            run_id,
            system as source_system,
            stream,
            kind as stream_kind,
            status as load_status,
            error,
            unknown_fields,
            rows_read,
            rows_loaded,
            rows_unchanged,
            rows_rejected,
            rows_marked_gone,
            {{ dbt.datediff("started_at", "finished_at", "second") }}
            as duration_seconds,
            cursor_from as cursor_from_at,
            cursor_to as cursor_to_at,
            started_at,
            finished_at
        from loads
    )

select *
from final_cte
