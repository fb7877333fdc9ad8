with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_person_records__from_customers"),
                    ref("int_person_records__from_contacts"),
                    ref("int_person_records__from_audience_members"),
                    ref("int_person_records__from_buyers"),
                ]
            )
        }}
    )

select *
from final_cte
