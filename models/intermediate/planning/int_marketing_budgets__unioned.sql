with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_marketing_budgets__from_google_sheets"),
                ]
            )
        }}
    )

select *
from final_cte
