-- Intervals are not empty, and each ends by the time that the customer's next one
-- begins.
with
    neighbours_cte as (
        select
            customer_id,
            valid_from,
            valid_to,
            lead(valid_from) over (
                partition by customer_id order by valid_from nulls first
            ) as next_valid_from
        from {{ ref("dim_customer_accounts_history") }}
    )

select *
from neighbours_cte
where
    valid_to <= valid_from
    or (
        next_valid_from is not null and (valid_to is null or valid_to > next_valid_from)
    )
