with
    persons as (select * from {{ ref("int_identity_persons__found") }}),
    final_cte as (
        select node_id as former_person_id, person_id, since_at
        from persons
        where is_present
    )

select *
from final_cte
