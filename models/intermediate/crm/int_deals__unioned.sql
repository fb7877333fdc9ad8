with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_deals__from_hubspot"),
                ]
            )
        }}
    )

select *
from final_cte
