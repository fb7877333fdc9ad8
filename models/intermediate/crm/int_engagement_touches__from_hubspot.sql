with
    calls as (select * from {{ ref("stg_hubspot__calls") }}),
    emails as (select * from {{ ref("stg_hubspot__emails") }}),
    meetings as (select * from {{ ref("stg_hubspot__meetings") }}),
    associations as (select * from {{ ref("int_associations__resolved") }}),
    -- What happened: a call that was tried, an e-mail that was not held back or
    -- returned, a meeting that was held.
    engagements_cte as (
        select
            'calls' as object_type,
            call_id as engagement_id,
            'call' as touch_type,
            lower(direction) as direction,
            occurred_at
        from calls
        where
            coalesce(status, '')
            not in ('CALLING_CRM_USER', 'CANCELED', 'FAILED', 'QUEUED')
        union all
        select
            'emails' as object_type,
            email_id as engagement_id,
            'email' as touch_type,
            case
                when direction = 'EMAIL' then 'outbound' else 'inbound'
            end as direction,
            occurred_at
        from emails
        where direction is not null and coalesce(status, 'SENT') = 'SENT'
        union all
        select
            'meetings' as object_type,
            meeting_id as engagement_id,
            'meeting' as touch_type,
            'outbound' as direction,
            coalesce(starts_at, occurred_at) as occurred_at
        from meetings
        where outcome = 'COMPLETED'
    ),
    final_cte as (
        select
            {{
                source_key(
                    "hubspot",
                    "engagements_cte.touch_type || '-' || engagements_cte.engagement_id",
                )
            }}
            as touch_id,
            {{ source_key("hubspot", "associations.to_id") }} as contact_id,
            'hubspot' as source_system,
            engagements_cte.touch_type,
            engagements_cte.direction,
            engagements_cte.occurred_at
        from engagements_cte
        inner join
            associations
            on engagements_cte.object_type = associations.from_type
            and engagements_cte.engagement_id = associations.from_id
            and associations.to_type = 'contacts'
        where
            engagements_cte.direction is not null
            and engagements_cte.occurred_at is not null
    )

select *
from final_cte
