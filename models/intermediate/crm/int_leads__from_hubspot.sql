with
    leads as (select * from {{ ref("stg_hubspot__leads") }}),
    pipeline_stages as (select * from {{ ref("stg_hubspot__pipeline_stages") }}),
    associations as (select * from {{ ref("int_associations__preferred") }}),
    owners as (select * from {{ ref("int_owners__named") }}),
    redirects as (select * from {{ ref("int_crm_records__redirected") }}),
    final_cte as (
        select
            {{ source_key("hubspot", "leads.lead_id") }} as lead_id,
            {{
                source_key(
                    "hubspot",
                    "coalesce(redirects.surviving_id, leads.primary_contact_id, associations.to_id)",
                )
            }}
            as contact_id,
            'hubspot' as source_system,
            leads.lead_id as source_lead_id,
            leads.lead_name,
            leads.lead_type,
            pipeline_stages.stage_name as lead_stage_name,
            owners.owner_name,
            owners.email as owner_email,
            leads.created_at
        from leads
        left join owners on leads.owner_id = owners.owner_id
        left join
            pipeline_stages
            on leads.pipeline_id = pipeline_stages.pipeline_id
            and leads.stage_id = pipeline_stages.stage_id
            and pipeline_stages.object_type = 'leads'
        left join
            redirects
            on leads.primary_contact_id = redirects.merged_id
            and redirects.object_type = 'contacts'
        left join
            associations
            on leads.lead_id = associations.from_id
            and associations.from_type = 'leads'
            and associations.to_type = 'contacts'
    )

select *
from final_cte
