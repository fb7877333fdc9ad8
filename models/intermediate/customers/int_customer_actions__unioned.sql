with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_customer_actions__from_shop"),
                    ref("int_customer_actions__from_events"),
                ]
            )
        }}
    )

select *
from final_cte
