with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_claims__from_spreadsheets"),
                ]
            )
        }}
    )

select *
from final_cte
