with
    member_versions as (select * from {{ ref("stg_mailchimp__member_versions") }}),
    -- A deletion does not say whose address it was: that of the version before it.
    contacts_cte as (
        select
            *,
            case
                when is_gone
                then
                    lag(coalesce(contact_id, member_id)) over (
                        partition by list_id, member_id order by changed_at nulls first
                    )
                else contact_id
            end as owner_id
        from member_versions
    ),
    final_cte as (
        select
            {{ source_key("mailchimp", "list_id") }} as audience_id,
            {{
                source_key(
                    "mailchimp", "list_id || '/' || coalesce(owner_id, member_id)"
                )
            }} as contact_id,
            {{ source_key("mailchimp", "list_id || '/' || member_id") }} as address_id,
            email,
            email_alias_key,
            phone,
            social_handle,
            full_name,
            member_status,
            language_code,
            country_code,
            signup_source,
            is_vip,
            is_gone,
            opted_in_at,
            updated_at,
            changed_at
        from contacts_cte
    )

select *
from final_cte
