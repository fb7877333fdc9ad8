with
    contacts as (select * from {{ ref("stg_hubspot__contacts") }}),
    associations as (select * from {{ ref("int_associations__preferred") }}),
    owners as (select * from {{ ref("int_owners__named") }}),
    final_cte as (
        select
            {{ source_key("hubspot", "contacts.contact_id") }} as contact_id,
            {{ source_key("hubspot", "associations.to_id") }} as company_id,
            'hubspot' as source_system,
            contacts.contact_id as source_contact_id,
            contacts.email,
            coalesce(contacts.phone, contacts.mobile_phone) as phone,
            contacts.first_name,
            contacts.last_name,
            contacts.country_code,
            contacts.lifecycle_stage,
            contacts.lead_status,
            owners.owner_name,
            owners.email as owner_email,
            contacts.is_email_opted_out,
            contacts.created_at,
            contacts.updated_at
        from contacts
        left join owners on contacts.owner_id = owners.owner_id
        left join
            associations
            on contacts.contact_id = associations.from_id
            and associations.from_type = 'contacts'
            and associations.to_type = 'companies'
    )

select *
from final_cte
