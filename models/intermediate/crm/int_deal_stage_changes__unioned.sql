with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_deal_stage_changes__from_hubspot"),
                ]
            )
        }}
    )

select *
from final_cte
