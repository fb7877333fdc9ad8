with
    contacts as (select * from {{ ref("int_contacts__unioned") }}),
    values_cte as (
        select
            contact_id,
            source_system,
            'email' as identifier_type,
            email as identifier_value,
            created_at
        from contacts
        union all
        select
            contact_id,
            source_system,
            'phone' as identifier_type,
            phone as identifier_value,
            created_at
        from contacts
    ),
    final_cte as (
        select
            'contact' as record_type,
            contact_id as record_id,
            identifier_type,
            identifier_value,
            source_system,
            true as is_held,
            {{ since_ever("created_at") }} as first_seen_at,
            cast(null as timestamp) as last_seen_at
        from values_cte
        where identifier_value is not null
    )

select *
from final_cte
