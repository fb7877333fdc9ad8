with
    records as (select * from {{ ref("int_person_records__unioned") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    addressed_cte as (
        select
            records.record_type,
            records.record_id,
            records.source_system,
            records.phone,
            records.country_code,
            records.birth_date,
            {{ since_ever("records.created_at") }} as known_at,
            {{ ascii_email("records.email", "email_domains") }} as email,
            {{ name_key("records.full_name") }} as full_name_key,
            {{ name_key("records.first_name") }} as told_first_name_key,
            {{ name_key("records.last_name") }} as told_last_name_key,
            {{ name_key("records.company_name") }} as company_key,
            {{ name_key("records.street_line") }} as street_key,
            replace({{ name_key("records.postal_code") }}, ' ', '') as postal_key
        from records
        left join
            email_domains
            on {{ email_domain("records.email") }} = email_domains.domain_name
    ),
    -- Of a name in one piece the first word is the first name.
    named_cte as (
        select
            *,
            case
                when coalesce(told_first_name_key, told_last_name_key) is not null
                then told_first_name_key
                when full_name_key like '% %'
                then split_part(full_name_key, ' ', 1)
            end as first_name_key,
            case
                when coalesce(told_first_name_key, told_last_name_key) is not null
                then told_last_name_key
                when full_name_key like '% %'
                then
                    substring(
                        full_name_key, length(split_part(full_name_key, ' ', 1)) + 2
                    )
                else full_name_key
            end as last_name_key,
            split_part(split_part(email, '@', 1), '+', 1) as mailbox_name,
            split_part(email, '@', 2) as mail_provider
        from addressed_cte
    ),
    final_cte as (
        select
            record_type,
            record_id,
            source_system,
            full_name_key,
            first_name_key,
            last_name_key,
            company_key,
            street_key,
            postal_key,
            country_code,
            phone,
            email,
            mailbox_name,
            mail_provider,
            -- What the mailbox has beyond the person's own name, in whatever way this
            -- is spelled: muller is mueller.
            length(
                replace(
                    replace(
                        {{
                            short_umlauts(
                                regex_replace_all(
                                    "lower(mailbox_name)", "[^a-z0-9]", ""
                                )
                            )
                        }},
                        coalesce(
                            {{ short_umlauts("replace(first_name_key, ' ', '')") }}, ' '
                        ),
                        ''
                    ),
                    coalesce(
                        {{ short_umlauts("replace(last_name_key, ' ', '')") }}, ' '
                    ),
                    ''
                )
            ) as mailbox_surplus,
            birth_date,
            known_at
        from named_cte
    )

select *
from final_cte
