with
    contact_merges as (select * from {{ ref("stg_hubspot__contact_merges") }}),
    company_merges as (select * from {{ ref("stg_hubspot__company_merges") }}),
    deal_merges as (select * from {{ ref("stg_hubspot__deal_merges") }}),
    ticket_merges as (select * from {{ ref("stg_hubspot__ticket_merges") }}),
    lists_cte as (
        select 'contacts' as object_type, contact_id as into_id, merged_ids
        from contact_merges
        union all
        select 'companies' as object_type, company_id as into_id, merged_ids
        from company_merges
        union all
        select 'deals' as object_type, deal_id as into_id, merged_ids
        from deal_merges
        union all
        select 'tickets' as object_type, ticket_id as into_id, merged_ids
        from ticket_merges
    ),
    parts_cte as (
        select object_type, into_id, {{ split_rows("merged_ids", ";") }} as merged_id
        from lists_cte
    ),
    merges_cte as (
        select distinct object_type, into_id, trim(merged_id) as merged_id
        from parts_cte
        where trim(merged_id) not in ('', into_id)
    ),
    merged_records_cte as (select distinct object_type, merged_id from merges_cte),
    -- A record may be in the lists of all that followed: the one that was merged into
    -- nothing else is the survivor.
    final_cte as (
        select
            merges_cte.object_type,
            merges_cte.merged_id,
            coalesce(
                max(
                    case
                        when merged_records_cte.merged_id is null
                        then merges_cte.into_id
                    end
                ),
                max(merges_cte.into_id)
            ) as into_id
        from merges_cte
        left join
            merged_records_cte
            on merges_cte.object_type = merged_records_cte.object_type
            and merges_cte.into_id = merged_records_cte.merged_id
        group by merges_cte.object_type, merges_cte.merged_id
    )

select *
from final_cte
