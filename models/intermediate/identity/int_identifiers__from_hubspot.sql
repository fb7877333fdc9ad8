with
    contacts as (select * from {{ ref("stg_hubspot__contacts") }}),
    redirects as (select * from {{ ref("int_crm_records__redirected") }}),
    emails_cte as (
        select
            contact_id,
            email,
            {{ split_rows("additional_emails", ";") }} as additional_email,
            created_at
        from contacts
        where additional_emails is not null
    ),
    -- What a contact has beside the address that the contract of contacts asks for,
    -- and the contacts that were merged into it.
    values_cte as (
        select
            contact_id,
            'email' as identifier_type,
            {{ clean_email("additional_email") }} as identifier_value,
            created_at
        from emails_cte
        where coalesce({{ clean_email("additional_email") }}, '') <> coalesce(email, '')
        union
        select
            contact_id,
            'social_handle' as identifier_type,
            social_handle as identifier_value,
            created_at
        from contacts
        union
        select
            contacts.contact_id,
            'contact' as identifier_type,
            {{ source_key("hubspot", "redirects.merged_id") }} as identifier_value,
            contacts.created_at
        from contacts
        inner join
            redirects
            on contacts.contact_id = redirects.surviving_id
            and redirects.object_type = 'contacts'
    ),
    final_cte as (
        select
            'contact' as record_type,
            {{ source_key("hubspot", "contact_id") }} as record_id,
            identifier_type,
            identifier_value,
            'hubspot' as source_system,
            true as is_held,
            {{ since_ever("created_at") }} as first_seen_at,
            cast(null as timestamp) as last_seen_at
        from values_cte
        where identifier_value is not null
    )

select *
from final_cte
