with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_audiences__from_mailchimp"),
                ]
            )
        }}
    )

select *
from final_cte
