-- Mailchimp's present contacts are all there and not deleted, with the address that
-- changed last; all others are.
with
    ranked_members_cte as (
        select
            {{ source_key("mailchimp", "list_id") }} as audience_id,
            coalesce(contact_id, member_id) as contact_id,
            email,
            member_status,
            row_number() over (
                partition by list_id, coalesce(contact_id, member_id)
                order by updated_at desc, member_id desc
            ) as recency
        from {{ ref("stg_mailchimp__members") }}
    ),
    expected_cte as (
        select audience_id, contact_id, email, member_status
        from ranked_members_cte
        where recency = 1
    ),
    actual_cte as (
        select
            audience_id,
            split_part(contact_id, '/', 2) as contact_id,
            email,
            member_status
        from {{ ref("dim_audience_members") }}
        where source_system = 'mailchimp' and not is_deleted
    )

    {{ differing_rows() }}
