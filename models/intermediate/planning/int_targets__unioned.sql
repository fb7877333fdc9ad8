with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_targets__from_google_sheets"),
                ]
            )
        }}
    )

select *
from final_cte
