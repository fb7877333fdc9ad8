{%- set single_attributes = [
    "email",
    "phone",
    "company_name",
    "country_code",
    "language_code",
    "birth_date",
] -%}
{%- set parts = {
    "name": ["first_name", "last_name"],
    "address": ["street_line", "postal_code", "city"],
} -%}
{%- set counts = {
    "customer": "account_count",
    "contact": "contact_count",
    "audience_member": "audience_member_count",
    "social_account": "social_account_count",
    "device": "device_count",
    "visitor": "visitor_count",
} -%}

with
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    records as (select * from {{ ref("int_person_records__unioned") }}),
    attributes as (select * from {{ ref("fct_customer_attributes") }}),
    identities as (select * from {{ ref("bridge_customer_identities") }}),
    accounts as (select * from {{ ref("dim_customer_accounts") }}),
    contacts as (select * from {{ ref("int_contacts__unioned") }}),
    customer_value as (select * from {{ ref("fct_customer_value") }}),
    -- Whom a system knows by a record; and not who was merely seen on a site.
    known_cte as (
        select distinct person_id
        from persons
        where
            identifier_type in (
                'customer',
                'contact',
                'audience_member',
                'order',
                'social_account',
                'claim'
            )
    ),
    golden_cte as (
        select
            attributes.person_id,
            {% for attribute in single_attributes %}
                max(
                    case
                        when attributes.attribute = '{{ attribute }}'
                        then records.{{ attribute }}
                    end
                ) as {{ attribute }},
            {% endfor %}
            {% for attribute, columns in parts.items() %}
                {% for column in columns %}
                    max(
                        case
                            when attributes.attribute = '{{ attribute }}'
                            then records.{{ column }}
                        end
                    ) as {{ column }},
                {% endfor %}
            {% endfor %}
            max(
                case
                    when attributes.attribute = 'name' then attributes.attribute_value
                end
            ) as full_name,
            {% for attribute in single_attributes + parts.keys() | list %}
                max(
                    case
                        when attributes.attribute = '{{ attribute }}'
                        then attributes.record_type || ' ' || attributes.record_id
                    end
                ) as {{ attribute }}_source
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from attributes
        inner join
            records
            on attributes.record_type = records.record_type
            and attributes.record_id = records.record_id
        where attributes.is_winner
        group by attributes.person_id
    ),
    counted_cte as (
        select
            person_id,
            {% for type, column in counts.items() %}
                count(
                    distinct case
                        when identifier_type = '{{ type }}' and is_current
                        then identifier_value
                    end
                ) as {{ column }},
            {% endfor %}
            -- (what is there since 1970 is so since we do not know when)
            min(
                case
                    when valid_from > cast('1970-01-01' as timestamp) then valid_from
                end
            ) as first_seen_at
        from identities
        group by person_id
    ),
    said_cte as (
        select
            person_id, is_business, coalesce(has_marketing_consent, false) as is_allowed
        from accounts
        union all
        select
            persons.person_id,
            cast(null as boolean) as is_business,
            case when contacts.is_email_opted_out then false end as is_allowed
        from contacts
        inner join
            persons
            on persons.identifier_type = 'contact'
            and contacts.contact_id = persons.identifier_value
            and persons.valid_to is null
    ),
    agreed_cte as (
        select
            person_id,
            bool_or(is_business) as is_business,
            bool_and(is_allowed) as has_marketing_consent
        from said_cte
        group by person_id
    ),
    final_cte as (
        select
            known_cte.person_id,
            golden_cte.email,
            golden_cte.phone,
            golden_cte.first_name,
            golden_cte.last_name,
            golden_cte.full_name,
            golden_cte.company_name,
            golden_cte.street_line,
            golden_cte.postal_code,
            golden_cte.city,
            golden_cte.country_code,
            golden_cte.language_code,
            golden_cte.email_source,
            golden_cte.phone_source,
            golden_cte.name_source,
            golden_cte.company_name_source,
            golden_cte.address_source,
            golden_cte.country_code_source,
            golden_cte.language_code_source,
            golden_cte.birth_date_source,
            '{{ var("base_currency") }}' as base_currency_code,
            {% for column in counts.values() %}
                coalesce(counted_cte.{{ column }}, 0) as {{ column }},
            {% endfor %}
            coalesce(customer_value.order_count, 0) as order_count,
            {% for amount in [
                "net_revenue_amount_base",
                "lifetime_value_amount_base",
            ] %}
                cast(
                    case
                        when customer_value.person_id is null
                        then 0
                        else customer_value.{{ amount }}
                    end as decimal(18, 4)
                ) as {{ amount }},
            {% endfor %}
            customer_value.recency_days,
            customer_value.recency_fifth,
            customer_value.frequency_fifth,
            customer_value.monetary_fifth,
            customer_value.repeat_purchase_days,
            customer_value.repeat_recency_days,
            customer_value.observed_days,
            agreed_cte.is_business,
            coalesce(agreed_cte.has_marketing_consent, false) as has_marketing_consent,
            coalesce(customer_value.is_rate_missing, false) as is_rate_missing,
            coalesce(customer_value.is_cost_missing, false) as is_cost_missing,
            golden_cte.birth_date,
            customer_value.first_order_date,
            customer_value.last_order_date,
            counted_cte.first_seen_at
        from known_cte
        left join golden_cte on known_cte.person_id = golden_cte.person_id
        left join counted_cte on known_cte.person_id = counted_cte.person_id
        left join agreed_cte on known_cte.person_id = agreed_cte.person_id
        left join customer_value on known_cte.person_id = customer_value.person_id
    )

select *
from final_cte
