{{ config(materialized="table") }}

with
    associations as (select * from {{ ref("stg_hubspot__associations") }}),
    redirects as (select * from {{ ref("int_crm_records__redirected") }}),
    -- The survivor of a merge is read again, with its own associations: those of the
    -- merged record, last read before that, are outdated.
    living_records_cte as (
        select associations.*
        from associations
        left join
            redirects
            on associations.from_type = redirects.object_type
            and associations.from_id = redirects.merged_id
        where redirects.merged_id is null
    ),
    final_cte as (
        select
            living_records_cte.from_id,
            coalesce(redirects.surviving_id, living_records_cte.to_id) as to_id,
            living_records_cte.from_type,
            living_records_cte.to_type,
            bool_or(
                living_records_cte.category = 'HUBSPOT_DEFINED'
                and coalesce(living_records_cte.label, '') = 'Primary'
            ) as is_primary
        from living_records_cte
        left join
            redirects
            on living_records_cte.to_type = redirects.object_type
            and living_records_cte.to_id = redirects.merged_id
        group by
            living_records_cte.from_id,
            coalesce(redirects.surviving_id, living_records_cte.to_id),
            living_records_cte.from_type,
            living_records_cte.to_type
    )

select *
from final_cte
