with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_web_events__from_events"),
                ]
            )
        }}
    )

select *
from final_cte
