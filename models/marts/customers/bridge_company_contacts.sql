with
    contacts as (select * from {{ ref("dim_contacts") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    companies as (select * from {{ ref("dim_companies") }}),
    matches as (select * from {{ ref("int_companies__matched") }}),
    final_cte as (
        select
            companies.company_id,
            persons.person_id,
            'contact' as record_type,
            contacts.contact_id as record_id,
            'crm' as evidence
        from contacts
        inner join companies on contacts.company_id = companies.company_id
        left join
            persons
            on persons.identifier_type = 'contact'
            and contacts.contact_id = persons.identifier_value
            and persons.valid_to is null
        union all
        select
            company_id,
            person_id,
            'customer' as record_type,
            customer_id as record_id,
            evidence
        from matches
    )

select *
from final_cte
