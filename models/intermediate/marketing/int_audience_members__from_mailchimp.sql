with
    member_versions as (select * from {{ ref("int_audience_members__versioned") }}),
    statuses as (select * from {{ ref("int_audience_statuses__from_mailchimp") }}),
    last_statuses_cte as (
        select contact_id, {{ last_by("member_status", "changed_at") }} as member_status
        from statuses
        group by contact_id
    ),
    ranked_versions_cte as (
        select
            *,
            row_number() over (
                partition by contact_id order by changed_at desc, address_id desc
            ) as recency
        from member_versions
        where not is_gone
    ),
    contacts_cte as (
        select
            ranked_versions_cte.*,
            last_statuses_cte.member_status as last_status,
            last_statuses_cte.member_status = 'deleted' as is_deleted
        from ranked_versions_cte
        inner join
            last_statuses_cte
            on ranked_versions_cte.contact_id = last_statuses_cte.contact_id
        where ranked_versions_cte.recency = 1
    ),
    -- Whoever was deleted stays for the sake of the events, but is nobody any more.
    final_cte as (
        select
            contact_id,
            audience_id,
            'mailchimp' as source_system,
            case when not is_deleted then email end as email,
            case when not is_deleted then email_alias_key end as email_alias_key,
            case when not is_deleted then phone end as phone,
            case when not is_deleted then full_name end as full_name,
            last_status as member_status,
            case when not is_deleted then language_code end as language_code,
            case when not is_deleted then country_code end as country_code,
            case when not is_deleted then signup_source end as signup_source,
            case when not is_deleted then is_vip end as is_vip,
            is_deleted,
            case when not is_deleted then opted_in_at end as opted_in_at,
            updated_at
        from contacts_cte
    )

select *
from final_cte
