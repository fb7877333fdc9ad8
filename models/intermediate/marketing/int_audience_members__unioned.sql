with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_audience_members__from_mailchimp"),
                ]
            )
        }}
    )

select *
from final_cte
