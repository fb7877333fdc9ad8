with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_campaigns__from_mailchimp"),
                ]
            )
        }}
    )

select *
from final_cte
