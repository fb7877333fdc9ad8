with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_order_buyers__from_spreadsheets"),
                ]
            )
        }}
    )

select *
from final_cte
