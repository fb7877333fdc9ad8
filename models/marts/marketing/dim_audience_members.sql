with
    audience_members as (select * from {{ ref("int_audience_members__unioned") }}),
    audiences as (select * from {{ ref("int_audiences__unioned") }}),
    final_cte as (
        select
            audience_members.contact_id,
            audience_members.audience_id,
            audience_members.source_system,
            audiences.audience_name,
            audience_members.email,
            audience_members.email_alias_key,
            audience_members.full_name,
            audience_members.member_status,
            audience_members.language_code,
            audience_members.country_code,
            audience_members.signup_source,
            audience_members.is_vip,
            audience_members.is_deleted,
            audience_members.opted_in_at,
            audience_members.updated_at
        from audience_members
        left join audiences on audience_members.audience_id = audiences.audience_id
    )

select *
from final_cte
