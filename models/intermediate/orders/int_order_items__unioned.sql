with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_order_items__from_shop"),
                    ref("int_order_items__from_spreadsheets"),
                ]
            )
        }}
    )

select *
from final_cte
