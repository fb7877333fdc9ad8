with
    deals as (select * from {{ ref("stg_hubspot__deals") }}),
    contacts as (select * from {{ ref("stg_hubspot__contacts") }}),
    associations as (select * from {{ ref("int_associations__preferred") }}),
    owners as (select * from {{ ref("int_owners__named") }}),
    final_cte as (
        select
            {{ source_key("hubspot", "deals.deal_id") }} as deal_id,
            {{ source_key("hubspot", "deal_companies.to_id") }} as company_id,
            {{ source_key("hubspot", "deal_contacts.to_id") }} as contact_id,
            {{ source_key("hubspot", "deals.pipeline_id") }} as pipeline_id,
            'hubspot' as source_system,
            deals.deal_id as source_deal_id,
            deals.deal_name,
            deals.deal_type,
            contacts.email as contact_email,
            owners.owner_name,
            owners.email as owner_email,
            deals.currency_code,
            deals.amount,
            coalesce(deals.entered_at, deals.created_at) as created_at,
            deals.closed_at,
            deals.updated_at
        from deals
        left join owners on deals.owner_id = owners.owner_id
        left join
            associations as deal_companies
            on deals.deal_id = deal_companies.from_id
            and deal_companies.from_type = 'deals'
            and deal_companies.to_type = 'companies'
        left join
            associations as deal_contacts
            on deals.deal_id = deal_contacts.from_id
            and deal_contacts.from_type = 'deals'
            and deal_contacts.to_type = 'contacts'
        left join contacts on deal_contacts.to_id = contacts.contact_id
    )

select *
from final_cte
