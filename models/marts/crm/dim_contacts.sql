with
    contacts as (select * from {{ ref("int_contacts__unioned") }}),
    final_cte as (
        select
            contact_id,
            company_id,
            source_system,
            source_contact_id,
            email,
            phone,
            first_name,
            last_name,
            country_code,
            lifecycle_stage,
            lead_status,
            owner_name,
            owner_email,
            is_email_opted_out,
            created_at,
            updated_at
        from contacts
    )

select *
from final_cte
