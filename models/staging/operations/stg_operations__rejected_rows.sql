with
    rejected_rows as (select * from {{ source("operations", "rejected_rows") }}),
    numbered_cte as (
        select
            *,
            row_number() over (
                partition by system, rejected_id, run_id, is_replayed
                order by observed_at desc, _dlt_load_id desc
            ) as copy_number
        from rejected_rows
    ),
    final_cte as (
        select
            rejected_id,
            system,
            run_id,
            stream,
            position,
            reason,
            original,
            is_replayed,
            cast(observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from numbered_cte
        where copy_number = 1
    )

select *
from final_cte
