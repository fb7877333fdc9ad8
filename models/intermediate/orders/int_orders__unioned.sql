with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_orders__from_shop"),
                    ref("int_orders__from_spreadsheets"),
                ]
            )
        }}
    )

select *
from final_cte
