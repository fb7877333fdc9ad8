with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_orders__from_shop"),
                    ref("int_orders__from_partner_files"),
                ]
            )
        }}
    )

select *
from final_cte
