with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_campaign_reports__from_mailchimp"),
                ]
            )
        }}
    )

select *
from final_cte
