with
    loads as (select * from {{ ref("stg_operations__load_ledger") }}),
    final_cte as (
        select max(finished_at) as as_of_at
        from loads
        where status = 'complete'
        having max(finished_at) is not null
    )

select *
from final_cte
