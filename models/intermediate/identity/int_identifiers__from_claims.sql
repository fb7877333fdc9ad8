with
    claims as (select * from {{ ref("int_claims__unioned") }}),
    final_cte as (
        select
            'claim' as record_type,
            {{ source_key("claims", "claim_number") }} as record_id,
            'email' as identifier_type,
            customer_email as identifier_value,
            source_system,
            false as is_held,
            {{ since_ever("cast(opened_date as timestamp)") }} as first_seen_at,
            {{ since_ever("cast(opened_date as timestamp)") }} as last_seen_at
        from claims
        where customer_email is not null
    )

select *
from final_cte
