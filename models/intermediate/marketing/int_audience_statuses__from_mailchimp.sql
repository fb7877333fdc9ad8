with
    member_versions as (select * from {{ ref("int_audience_members__versioned") }}),
    addresses as (select * from {{ ref("int_audience_members__addressed") }}),
    unsubscribes as (select * from {{ ref("stg_mailchimp__unsubscribes") }}),
    deletions_cte as (
        select
            *,
            -- Gone, or somebody else's from then on.
            case
                when
                    lead(is_gone) over (
                        partition by address_id order by changed_at nulls first
                    )
                    or lead(contact_id) over (
                        partition by address_id order by changed_at nulls first
                    )
                    <> contact_id
                then
                    lead(changed_at) over (
                        partition by address_id order by changed_at nulls first
                    )
            end as deleted_at
        from member_versions
    ),
    contact_versions_cte as (
        select
            *,
            lead(changed_at) over (
                partition by contact_id
                order by changed_at nulls first, address_id nulls first
            ) as replaced_at,
            max(changed_at) over (partition by contact_id) as last_changed_at
        from deletions_cte
        where not is_gone
    ),
    contact_unsubscribes_cte as (
        select addresses.audience_id, addresses.contact_id, unsubscribes.unsubscribed_at
        from unsubscribes
        inner join
            addresses
            on {{
                source_key(
                    "mailchimp",
                    "unsubscribes.list_id || '/' || unsubscribes.email_id",
                )
            }} = addresses.address_id
            and {{ is_within("unsubscribes.unsubscribed_at", "addresses") }}
    ),
    told_cte as (
        select
            audience_id,
            contact_id,
            address_id,
            member_status,
            1 as precedence,
            changed_at
        from contact_versions_cte
        union all
        -- An address that its contact has left for another one is deleted in its place.
        select
            audience_id,
            contact_id,
            address_id,
            'deleted' as member_status,
            1 as precedence,
            deleted_at as changed_at
        from contact_versions_cte
        where
            deleted_at is not null and (replaced_at is null or deleted_at < replaced_at)
        union all
        -- What came before the version that we saw first.
        select
            audience_id,
            contact_id,
            address_id,
            'subscribed' as member_status,
            3 as precedence,
            opted_in_at as changed_at
        from contact_versions_cte
        where
            opted_in_at < changed_at
            and member_status in ('subscribed', 'unsubscribed', 'cleaned', 'archived')
        union all
        -- The member's last change may be later than the day on which it unsubscribed.
        select
            contact_unsubscribes_cte.audience_id,
            contact_unsubscribes_cte.contact_id,
            contact_versions_cte.address_id,
            'unsubscribed' as member_status,
            2 as precedence,
            contact_unsubscribes_cte.unsubscribed_at as changed_at
        from contact_unsubscribes_cte
        inner join
            contact_versions_cte
            on contact_unsubscribes_cte.contact_id = contact_versions_cte.contact_id
            and contact_versions_cte.replaced_at is null
            and contact_unsubscribes_cte.unsubscribed_at
            < contact_versions_cte.last_changed_at
    ),
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by contact_id, changed_at
                order by precedence nulls last, address_id desc
            ) as recency
        from told_cte
    ),
    final_cte as (
        select
            audience_id,
            contact_id,
            'mailchimp' as source_system,
            member_status,
            changed_at
        from ranked_cte
        where recency = 1
    )

select *
from final_cte
