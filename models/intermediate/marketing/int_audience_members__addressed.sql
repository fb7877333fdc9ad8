with
    member_versions as (select * from {{ ref("int_audience_members__versioned") }}),
    contacts_cte as (
        select
            audience_id,
            address_id,
            contact_id,
            changed_at,
            lag(contact_id) over (
                partition by address_id order by changed_at nulls first
            ) as previous_contact_id
        from member_versions
        where not is_gone
    ),
    final_cte as (
        select
            audience_id,
            address_id,
            contact_id,
            case
                when previous_contact_id is null
                then cast('1970-01-01' as timestamp)
                else changed_at
            end as valid_from,
            lead(changed_at) over (
                partition by address_id order by changed_at nulls first
            ) as valid_to
        from contacts_cte
        where previous_contact_id is null or previous_contact_id <> contact_id
    )

select *
from final_cte
