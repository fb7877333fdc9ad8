with
    rejected_rows as (select * from {{ ref("int_operations__rejected_rows_grouped") }}),
    final_cte as (
        select
            rejected_id,
            source_system,
            stream,
            position,
            reason,
            original,
            times_rejected,
            is_open,
            first_seen_at,
            last_seen_at
        from rejected_rows
    )

select *
from final_cte
