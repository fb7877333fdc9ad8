with
    companies as (select * from {{ ref("stg_hubspot__companies") }}),
    owners as (select * from {{ ref("int_owners__named") }}),
    final_cte as (
        select
            {{ source_key("hubspot", "companies.company_id") }} as company_id,
            'hubspot' as source_system,
            companies.company_id as source_company_id,
            companies.company_name,
            companies.domain_name,
            companies.industry,
            companies.phone,
            companies.city,
            companies.country_code,
            companies.lifecycle_stage,
            owners.owner_name,
            owners.email as owner_email,
            companies.employee_count,
            companies.annual_revenue as annual_revenue_amount,
            '{{ var("hubspot_currency") }}' as revenue_currency_code,
            companies.created_at,
            companies.updated_at
        from companies
        left join owners on companies.owner_id = owners.owner_id
    )

select *
from final_cte
