{%- set epoch -%} cast('1970-01-01' as timestamp) {%- endset -%}
{%- set order_identifier_type -%}
    case when orders.customer_id is null then 'order' else 'customer' end
{%- endset -%}
{%- set order_identifier_value -%}
    coalesce(orders.customer_id, orders.order_id)
{%- endset -%}

with
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    engagement_touches as (select * from {{ ref("int_engagement_touches__unioned") }}),
    leads as (select * from {{ ref("int_leads__unioned") }}),
    deals as (select * from {{ ref("fct_deals") }}),
    deal_stages as (select * from {{ ref("fct_deal_stage_intervals") }}),
    campaigns as (select * from {{ ref("dim_campaigns") }}),
    email_events as (select * from {{ ref("fct_email_events") }}),
    audience_members as (select * from {{ ref("dim_audience_members") }}),
    social_mentions as (select * from {{ ref("fct_social_mentions") }}),
    web_sessions as (select * from {{ ref("fct_web_sessions") }}),
    customers as (select * from {{ ref("dim_customer_accounts") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    payments as (select * from {{ ref("fct_payments") }}),
    device_alerts as (select * from {{ ref("fct_device_alerts") }}),
    devices as (select * from {{ ref("dim_devices") }}),
    claims as (select * from {{ ref("int_claims__unioned") }}),
    documents as (select * from {{ ref("dim_documents") }}),
    document_mentions as (select * from {{ ref("fct_document_mentions") }}),
    -- In each of these: what happened, its key among its kind, and whose it is by which
    -- identifier.
    crm_cte as (
        select
            'sales ' || touch_type as event_kind,
            touch_id as event_key,
            source_system,
            touch_id as record_id,
            direction as detail,
            'contact' as identifier_type,
            contact_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            occurred_at
        from engagement_touches
        union all
        select
            'lead created' as event_kind,
            lead_id as event_key,
            source_system,
            lead_id as record_id,
            lead_type as detail,
            'contact' as identifier_type,
            contact_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            created_at as occurred_at
        from leads
        union all
        select
            'deal stage entered' as event_kind,
            deal_stages.deal_id
            || ' '
            || cast(
                {{ microseconds_between(epoch, "deal_stages.entered_at") }} as string
            ) as event_key,
            deal_stages.source_system,
            deal_stages.deal_id as record_id,
            coalesce(deal_stages.stage_name, deal_stages.stage_id) as detail,
            'contact' as identifier_type,
            deals.contact_id as identifier_value,
            deals.deal_amount_base as amount_base,
            false as is_automatic,
            deal_stages.entered_at as occurred_at
        from deal_stages
        inner join deals on deal_stages.deal_id = deals.deal_id
    ),
    marketing_cte as (
        select
            'newsletter subscribed' as event_kind,
            contact_id as event_key,
            source_system,
            contact_id as record_id,
            audience_name as detail,
            'audience_member' as identifier_type,
            contact_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            opted_in_at as occurred_at
        from audience_members
        union all
        select
            'email ' || email_events.event_type as event_kind,
            email_events.event_id as event_key,
            email_events.source_system,
            email_events.event_id as record_id,
            campaigns.campaign_title as detail,
            'audience_member' as identifier_type,
            email_events.contact_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            email_events.is_privacy_open or email_events.is_bot_click as is_automatic,
            email_events.occurred_at
        from email_events
        left join campaigns on email_events.campaign_id = campaigns.campaign_id
    ),
    social_cte as (
        select
            'social post' as event_kind,
            social_post_id as event_key,
            source_system,
            social_post_id as record_id,
            relation || ', ' || topic as detail,
            'social_account' as identifier_type,
            source_system || ':' || source_author_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            coalesce(is_bot, false) as is_automatic,
            published_at as occurred_at
        from social_mentions
    ),
    web_cte as (
        select
            platform || ' session' as event_kind,
            session_id as event_key,
            split_part(visitor_id, ':', 1) as source_system,
            session_id as record_id,
            channel || coalesce(', ' || landing_path, '') as detail,
            'visitor' as identifier_type,
            visitor_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            started_at as occurred_at
        from web_sessions
        where not is_bot
    ),
    application_cte as (
        select
            'account opened' as event_kind,
            customer_id as event_key,
            source_system,
            customer_id as record_id,
            cast(null as string) as detail,
            'customer' as identifier_type,
            customer_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            created_at as occurred_at
        from customers
        union all
        select
            'order placed' as event_kind,
            order_id as event_key,
            source_system,
            order_id as record_id,
            order_status as detail,
            {{ order_identifier_type }} as identifier_type,
            {{ order_identifier_value }} as identifier_value,
            order_amount_base as amount_base,
            false as is_automatic,
            {{ moment("ordered_at", "order_date") }} as occurred_at
        from orders
        where reseller is null
        union all
        select
            case
                when payments.transaction_type = 'refund'
                then 'refund'
                else 'payment ' || payments.payment_status
            end as event_kind,
            payments.payment_id as event_key,
            payments.source_system,
            payments.payment_id as record_id,
            payments.payment_method as detail,
            {{ order_identifier_type }} as identifier_type,
            {{ order_identifier_value }} as identifier_value,
            payments.payment_amount_base as amount_base,
            false as is_automatic,
            payments.transacted_at as occurred_at
        from payments
        inner join orders on payments.order_id = orders.order_id
    ),
    device_cte as (
        select
            'device alert' as event_kind,
            device_alerts.device_id
            || ' '
            || device_alerts.metric
            || ' '
            || device_alerts.alert_kind
            || ' '
            || cast(
                {{ microseconds_between(epoch, "device_alerts.started_at") }} as string
            ) as event_key,
            devices.source_system,
            device_alerts.device_id as record_id,
            device_alerts.alert_kind || ', ' || device_alerts.metric as detail,
            'device' as identifier_type,
            device_alerts.device_id as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            device_alerts.started_at as occurred_at
        from device_alerts
        inner join devices on device_alerts.device_id = devices.device_id
    ),
    other_cte as (
        select
            'order placed' as event_kind,
            order_id as event_key,
            source_system,
            order_id as record_id,
            reseller as detail,
            {{ order_identifier_type }} as identifier_type,
            {{ order_identifier_value }} as identifier_value,
            order_amount_base as amount_base,
            false as is_automatic,
            {{ moment("ordered_at", "order_date") }} as occurred_at
        from orders
        where reseller is not null
        union all
        select
            'claim opened' as event_kind,
            claim_number as event_key,
            source_system,
            claim_number as record_id,
            claim_status as detail,
            'claim' as identifier_type,
            'claims:' || claim_number as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            {{ moment("cast(null as timestamp)", "opened_date") }} as occurred_at
        from claims
        union all
        select
            'document written' as event_kind,
            documents.document_id as event_key,
            'documents' as source_system,
            documents.document_id as record_id,
            coalesce(documents.title, documents.first_path) as detail,
            case
                when document_mentions.customer_id is not null
                then 'customer'
                else document_mentions.mention_kind
            end as identifier_type,
            case
                when document_mentions.customer_id is not null
                then document_mentions.customer_id
                when document_mentions.mention_kind = 'claim'
                then 'claims:' || document_mentions.mention_text
                else
                    coalesce(
                        document_mentions.order_id,
                        document_mentions.device_id,
                        document_mentions.mention_text
                    )
            end as identifier_value,
            cast(null as decimal(18, 4)) as amount_base,
            false as is_automatic,
            coalesce(documents.sent_at, documents.created_at) as occurred_at
        from document_mentions
        inner join documents on document_mentions.document_id = documents.document_id
    ),
    events_cte as (
        {% for source_kind in [
            "crm",
            "marketing",
            "social",
            "web",
            "application",
            "device",
            "other",
        ] %}
            select *, '{{ source_kind }}' as source_kind
            from {{ source_kind }}_cte
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    -- What names a person twice, as a letter may or a meeting with two contacts of one,
    -- is one event.
    known_cte as (
        select
            events_cte.*,
            persons.person_id,
            row_number() over (
                partition by
                    events_cte.event_kind, events_cte.event_key, persons.person_id
                order by
                    events_cte.identifier_type nulls first,
                    events_cte.identifier_value nulls first
            ) as naming_number
        from events_cte
        inner join
            persons
            on {{
                is_person_at(
                    "persons",
                    "events_cte.identifier_type",
                    "events_cte.identifier_value",
                    "events_cte.occurred_at",
                )
            }}
    ),
    final_cte as (
        select
            md5(
                event_kind
                || ' '
                || event_key
                || ' '
                || identifier_type
                || ' '
                || identifier_value
            ) as event_id,
            person_id,
            event_kind,
            source_kind,
            source_system,
            record_id,
            detail,
            '{{ var("base_currency") }}' as base_currency_code,
            cast(amount_base as decimal(18, 4)) as amount_base,
            is_automatic,
            cast({{ local_time("occurred_at") }} as date) as event_date,
            occurred_at
        from known_cte
        where naming_number = 1
    )

select *
from final_cte
