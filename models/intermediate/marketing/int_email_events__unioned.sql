{{ config(materialized="table") }}

with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_email_events__from_mailchimp"),
                ]
            )
        }}
    )

select *
from final_cte
