-- Where no interval follows at once, the customer was deleted at that very moment.
with
    neighbours_cte as (
        select
            customer_id,
            valid_to,
            lead(valid_from) over (
                partition by customer_id order by valid_from nulls first
            ) as next_valid_from
        from {{ ref("dim_customer_accounts_history") }}
    )

select neighbours_cte.*
from neighbours_cte
left join
    {{ ref("int_customer_versions__unioned") }} as deletions
    on neighbours_cte.customer_id = deletions.customer_id
    and neighbours_cte.valid_to = deletions.changed_at
    and deletions.is_gone
where
    neighbours_cte.valid_to is not null
    and (
        neighbours_cte.next_valid_from is null
        or neighbours_cte.next_valid_from > neighbours_cte.valid_to
    )
    and deletions.customer_id is null
