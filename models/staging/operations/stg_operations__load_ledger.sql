with
    load_ledger as (select * from {{ source("operations", "load_ledger") }}),
    numbered_cte as (
        select
            *,
            row_number() over (
                partition by system, run_id, stream
                order by finished_at desc, _dlt_load_id desc
            ) as copy_number
        from load_ledger
    ),
    final_cte as (
        select
            system,
            run_id,
            stream,
            kind,
            status,
            error,
            unknown_fields,
            rows_read,
            rows_loaded,
            rows_unchanged,
            rows_rejected,
            rows_marked_gone,
            cast(cursor_from as timestamp) as cursor_from,
            cast(cursor_to as timestamp) as cursor_to,
            cast(started_at as timestamp) as started_at,
            cast(finished_at as timestamp) as finished_at,
            _dlt_load_id as load_id
        from numbered_cte
        where copy_number = 1
    )

select *
from final_cte
