with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_stock_levels__from_spreadsheets"),
                ]
            )
        }}
    )

select *
from final_cte
