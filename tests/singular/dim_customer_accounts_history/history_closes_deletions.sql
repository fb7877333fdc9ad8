-- At the moment of a deletion the customer is in no interval.
select deletions.customer_id, deletions.changed_at
from {{ ref("int_customer_versions__unioned") }} as deletions
inner join
    {{ ref("dim_customer_accounts_history") }} as customer_versions
    on deletions.customer_id = customer_versions.customer_id
    and deletions.changed_at >= customer_versions.valid_from
    and (
        customer_versions.valid_to is null
        or deletions.changed_at < customer_versions.valid_to
    )
where deletions.is_gone
