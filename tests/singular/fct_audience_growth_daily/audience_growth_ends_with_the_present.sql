-- The last day has the contacts whose newest member is subscribed now. (A contact has a
-- second member for the days until we notice that its old address is gone.)
with
    contacts_cte as (
        select
            list_id,
            coalesce(contact_id, member_id) as contact_id,
            max_by(member_status, updated_at) as member_status
        from {{ ref("stg_mailchimp__members") }}
        group by list_id, coalesce(contact_id, member_id)
    ),
    expected_cte as (
        select
            {{ source_key("mailchimp", "list_id") }} as audience_id,
            count_if(member_status = 'subscribed') as subscribed_count
        from contacts_cte
        group by list_id
    ),
    actual_cte as (
        select audience_id, max_by(subscribed_count, growth_date) as subscribed_count
        from {{ ref("fct_audience_growth_daily") }}
        where source_system = 'mailchimp'
        group by audience_id
    )

select
    expected_cte.audience_id,
    expected_cte.subscribed_count as expected_count,
    actual_cte.subscribed_count
from expected_cte
left join actual_cte on expected_cte.audience_id = actual_cte.audience_id
where
    actual_cte.subscribed_count is null
    or expected_cte.subscribed_count <> actual_cte.subscribed_count
