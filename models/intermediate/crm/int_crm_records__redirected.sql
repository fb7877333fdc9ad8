with
    hops_0_cte as (select * from {{ ref("int_crm_records__merged") }}),
    -- A chain of merges is followed to its end: every round doubles the steps taken, to
    -- 32.
    {% for round in range(5) %}
        hops_{{ round + 1 }}_cte as (
            select
                hops.object_type,
                hops.merged_id,
                coalesce(next_hops.into_id, hops.into_id) as into_id
            from hops_{{ round }}_cte as hops
            left join
                hops_{{ round }}_cte as next_hops
                on hops.object_type = next_hops.object_type
                and hops.into_id = next_hops.merged_id
        ),
    {% endfor %}
    final_cte as (
        select merged_id, into_id as surviving_id, object_type from hops_5_cte
    )

select *
from final_cte
