with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_engagement_touches__from_hubspot"),
                ]
            )
        }}
    )

select *
from final_cte
