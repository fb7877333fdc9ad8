with
    rejected_rows as (select * from {{ ref("stg_operations__rejected_rows") }}),
    numbered_cte as (
        select
            *,
            row_number() over (
                partition by system, rejected_id
                order by observed_at desc, run_id desc, is_replayed desc
            ) as recency
        from rejected_rows
    ),
    final_cte as (
        select
            rejected_id,
            system as source_system,
            max(case when recency = 1 then stream end) as stream,
            max(case when recency = 1 then position end) as position,
            max(case when recency = 1 then reason end) as reason,
            max(case when recency = 1 then original end) as original,
            count(distinct case when not is_replayed then run_id end) as times_rejected,
            not bool_or(is_replayed) as is_open,
            min(observed_at) as first_seen_at,
            max(observed_at) as last_seen_at
        from numbered_cte
        group by rejected_id, system
    )

select *
from final_cte
