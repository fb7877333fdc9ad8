with
    contacts as (select * from {{ ref("int_contacts__unioned") }}),
    companies as (select * from {{ ref("int_companies__unioned") }}),
    final_cte as (
        select
            'contact' as record_type,
            contacts.contact_id as record_id,
            contacts.source_system,
            contacts.email,
            contacts.phone,
            contacts.first_name,
            contacts.last_name,
            {{ full_name("contacts.first_name", "contacts.last_name") }} as full_name,
            companies.company_name,
            cast(null as string) as street_line,
            cast(null as string) as postal_code,
            cast(null as string) as city,
            contacts.country_code,
            cast(null as string) as language_code,
            cast(null as date) as birth_date,
            contacts.created_at,
            contacts.updated_at
        from contacts
        left join companies on contacts.company_id = companies.company_id
    )

select *
from final_cte
