with
    deals as (select * from {{ ref("stg_hubspot__deals") }}),
    companies as (select * from {{ ref("stg_hubspot__companies") }}),
    contacts as (select * from {{ ref("stg_hubspot__contacts") }}),
    associations as (select * from {{ ref("int_associations__resolved") }}),
    owners as (select * from {{ ref("int_owners__named") }}),
    -- Of several the primary one, else the oldest: ids are numbers that grow.
    ranked_companies_cte as (
        select
            associations.from_id as deal_id,
            companies.company_id,
            row_number() over (
                partition by associations.from_id
                order by
                    associations.is_primary desc,
                    length(companies.company_id) nulls last,
                    companies.company_id nulls last
            ) as preference
        from associations
        inner join companies on associations.to_id = companies.company_id
        where associations.from_type = 'deals' and associations.to_type = 'companies'
    ),
    ranked_contacts_cte as (
        select
            associations.from_id as deal_id,
            contacts.contact_id,
            contacts.email,
            row_number() over (
                partition by associations.from_id
                order by
                    associations.is_primary desc,
                    length(contacts.contact_id) nulls last,
                    contacts.contact_id nulls last
            ) as preference
        from associations
        inner join contacts on associations.to_id = contacts.contact_id
        where associations.from_type = 'deals' and associations.to_type = 'contacts'
    ),
    final_cte as (
        select
            {{ source_key("hubspot", "deals.deal_id") }} as deal_id,
            {{ source_key("hubspot", "ranked_companies_cte.company_id") }}
            as company_id,
            {{ source_key("hubspot", "ranked_contacts_cte.contact_id") }} as contact_id,
            {{ source_key("hubspot", "deals.pipeline_id") }} as pipeline_id,
            'hubspot' as source_system,
            deals.deal_id as source_deal_id,
            deals.deal_name,
            deals.deal_type,
            ranked_contacts_cte.email as contact_email,
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
            ranked_companies_cte
            on deals.deal_id = ranked_companies_cte.deal_id
            and ranked_companies_cte.preference = 1
        left join
            ranked_contacts_cte
            on deals.deal_id = ranked_contacts_cte.deal_id
            and ranked_contacts_cte.preference = 1
    )

select *
from final_cte
