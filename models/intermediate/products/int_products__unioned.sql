with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_products__from_shop"),
                ]
            )
        }}
    )

select *
from final_cte
