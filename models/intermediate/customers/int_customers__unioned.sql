with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_customers__from_shop"),
                ]
            )
        }}
    )

select *
from final_cte
