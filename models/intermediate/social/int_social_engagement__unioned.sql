with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_social_engagement__from_bluesky"),
                ]
            )
        }}
    )

select *
from final_cte
