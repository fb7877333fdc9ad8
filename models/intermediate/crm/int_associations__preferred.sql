{{ config(materialized="table") }}

with
    associations as (select * from {{ ref("int_associations__resolved") }}),
    companies as (select * from {{ ref("stg_hubspot__companies") }}),
    contacts as (select * from {{ ref("stg_hubspot__contacts") }}),
    records_cte as (
        select 'companies' as object_type, company_id as record_id
        from companies
        union all
        select 'contacts' as object_type, contact_id as record_id
        from contacts
    ),
    -- Of several the primary one, else the oldest: ids are numbers that grow.
    ranked_associations_cte as (
        select
            associations.*,
            row_number() over (
                partition by
                    associations.from_type, associations.from_id, associations.to_type
                order by
                    associations.is_primary desc,
                    length(associations.to_id) nulls last,
                    associations.to_id nulls last
            ) as preference
        from associations
        inner join
            records_cte
            on associations.to_type = records_cte.object_type
            and associations.to_id = records_cte.record_id
    ),
    final_cte as (
        select from_id, to_id, from_type, to_type
        from ranked_associations_cte
        where preference = 1
    )

select *
from final_cte
