with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_product_versions__from_shop"),
                ]
            )
        }}
    )

select *
from final_cte
