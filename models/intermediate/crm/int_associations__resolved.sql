{{ config(materialized="table") }}

with
    associations as (select * from {{ ref("stg_hubspot__associations") }}),
    redirects as (select * from {{ ref("int_crm_records__redirected") }}),
    final_cte as (
        select
            coalesce(from_redirects.surviving_id, associations.from_id) as from_id,
            coalesce(to_redirects.surviving_id, associations.to_id) as to_id,
            associations.from_type,
            associations.to_type,
            bool_or(
                associations.category = 'HUBSPOT_DEFINED'
                and coalesce(associations.label, '') = 'Primary'
            ) as is_primary
        from associations
        left join
            redirects as from_redirects
            on associations.from_type = from_redirects.object_type
            and associations.from_id = from_redirects.merged_id
        left join
            redirects as to_redirects
            on associations.to_type = to_redirects.object_type
            and associations.to_id = to_redirects.merged_id
        group by
            coalesce(from_redirects.surviving_id, associations.from_id),
            coalesce(to_redirects.surviving_id, associations.to_id),
            associations.from_type,
            associations.to_type
    )

select *
from final_cte
