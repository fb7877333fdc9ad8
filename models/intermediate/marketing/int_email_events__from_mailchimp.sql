with
    campaigns as (select * from {{ ref("int_campaigns__from_mailchimp") }}),
    addresses as (select * from {{ ref("int_audience_members__addressed") }}),
    email_activity as (select * from {{ ref("stg_mailchimp__email_activity") }}),
    unsubscribes as (select * from {{ ref("stg_mailchimp__unsubscribes") }}),
    sent_to as (select * from {{ ref("stg_mailchimp__sent_to") }}),
    told_cte as (
        select
            campaign_id,
            list_id,
            email_id,
            action as event_type,
            bounce_type,
            cast(null as string) as unsubscribe_reason,
            url,
            ip,
            occurrence,
            occurred_at as told_at
        from email_activity
        union all
        select
            campaign_id,
            list_id,
            email_id,
            'unsubscribe' as event_type,
            cast(null as string) as bounce_type,
            unsubscribe_reason,
            cast(null as string) as url,
            cast(null as string) as ip,
            cast(null as bigint) as occurrence,
            unsubscribed_at as told_at
        from unsubscribes
        union all
        select
            campaign_id,
            list_id,
            email_id,
            'sent' as event_type,
            cast(null as string) as bounce_type,
            cast(null as string) as unsubscribe_reason,
            cast(null as string) as url,
            cast(null as string) as ip,
            cast(null as bigint) as occurrence,
            cast(null as timestamp) as told_at
        from sent_to
        union all
        select
            campaign_id,
            list_id,
            email_id,
            'bounce' as event_type,
            delivery_status as bounce_type,
            cast(null as string) as unsubscribe_reason,
            cast(null as string) as url,
            cast(null as string) as ip,
            cast(null as bigint) as occurrence,
            cast(null as timestamp) as told_at
        from sent_to
        where delivery_status in ('hard', 'soft')
    ),
    qualified_cte as (
        select
            {{ source_key("mailchimp", "campaign_id") }} as campaign_id,
            {{ source_key("mailchimp", "list_id") }} as audience_id,
            {{ source_key("mailchimp", "list_id || '/' || email_id") }} as address_id,
            event_type,
            bounce_type,
            unsubscribe_reason,
            url,
            ip,
            occurrence,
            told_at
        from told_cte
    ),
    timed_cte as (
        select
            qualified_cte.*,
            coalesce(qualified_cte.told_at, campaigns.sent_at) as occurred_at
        from qualified_cte
        left join campaigns on qualified_cte.campaign_id = campaigns.campaign_id
    ),
    -- An address that was never seen among the members stands for its owner.
    owned_cte as (
        select
            timed_cte.*,
            coalesce(addresses.contact_id, timed_cte.address_id) as contact_id
        from timed_cte
        left join
            addresses
            on timed_cte.address_id = addresses.address_id
            and {{ is_within("timed_cte.occurred_at", "addresses") }}
    ),
    -- A contact is sent a campaign, bounces and unsubscribes once; opens and clicks are
    -- told apart by time, link, ip and occurrence. Under which of the contact's
    -- addresses
    -- they are told does not matter.
    identified_cte as (
        select
            *,
            md5(
                campaign_id
                || ' '
                || contact_id
                || ' '
                || event_type
                || case
                    when event_type in ('open', 'click')
                    then
                        ' '
                        || cast(occurred_at as string)
                        || ' '
                        || cast(occurrence as string)
                        || ' '
                        || coalesce(url, '')
                        || ' '
                        || coalesce(ip, '')
                    else ''
                end
            ) as event_key
        from owned_cte
    ),
    -- A hard bounce comes before a soft one, and what has a time before what has none.
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by event_key
                order by
                    bounce_type nulls last, told_at nulls last, address_id nulls last
            ) as recency
        from identified_cte
    ),
    final_cte as (
        select
            {{ source_key("mailchimp", "event_key") }} as event_id,
            campaign_id,
            audience_id,
            contact_id,
            'mailchimp' as source_system,
            event_type,
            bounce_type,
            unsubscribe_reason,
            url,
            ip,
            occurred_at
        from ranked_cte
        where recency = 1
    )

select *
from final_cte
