with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_order_items__from_shop"),
                    ref("int_order_items__from_partner_files"),
                ]
            )
        }}
    )

select *
from final_cte
