with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_customer_addresses__from_shop"),
                ]
            )
        }}
    )

select *
from final_cte
