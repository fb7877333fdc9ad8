with
    attributes as (select * from {{ ref("int_customer_attributes__ranked") }}),
    final_cte as (
        select
            person_id,
            record_type,
            record_id,
            source_system,
            attribute,
            attribute_value,
            reason,
            priority,
            cast(attribute_rank as bigint) as attribute_rank,
            attribute_rank = 1 as is_winner,
            is_ambiguous,
            changed_at
        from attributes
    )

select *
from final_cte
