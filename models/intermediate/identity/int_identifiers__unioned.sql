with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_identifiers__from_customers"),
                    ref("int_identifiers__from_contacts"),
                    ref("int_identifiers__from_hubspot"),
                    ref("int_identifiers__from_mailchimp"),
                    ref("int_identifiers__from_visitors"),
                    ref("int_identifiers__from_devices"),
                    ref("int_identifiers__from_buyers"),
                    ref("int_identifiers__from_claims"),
                    ref("int_identifiers__from_social_accounts"),
                ]
            )
        }}
    )

select *
from final_cte
