with
    identifiers as (select * from {{ ref("int_identifiers__unioned") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    nobody_mailboxes as (select * from {{ ref("nobody_mailboxes") }}),
    ascii_cte as (
        select
            record_type,
            record_id,
            identifier_type,
            case
                when identifier_type = 'email'
                then {{ ascii_email("identifiers.identifier_value", "email_domains") }}
                else identifier_value
            end as identifier_value,
            source_system,
            is_held,
            first_seen_at,
            last_seen_at
        from identifiers
        left join
            email_domains
            on case
                when identifiers.identifier_type = 'email'
                then {{ email_domain("identifiers.identifier_value") }}
            end
            = email_domains.domain_name
    ),
    boxed_cte as (
        select
            *,
            case
                when identifier_type = 'email'
                then {{ email_alias_key("identifier_value") }}
                else identifier_value
            end as mailbox
        from ascii_cte
    ),
    -- Whoever has an address with a +tag has the mailbox as well.
    aliased_cte as (
        select *, false as is_alias
        from boxed_cte
        union all
        select
            record_type,
            record_id,
            identifier_type,
            mailbox as identifier_value,
            source_system,
            is_held,
            first_seen_at,
            last_seen_at,
            mailbox,
            true as is_alias
        from boxed_cte
        where mailbox <> identifier_value
    ),
    final_cte as (
        select aliased_cte.*, nobody_mailboxes.mailbox_name is not null as is_nobody
        from aliased_cte
        left join
            nobody_mailboxes
            on case
                when aliased_cte.identifier_type = 'email'
                then split_part(aliased_cte.mailbox, '@', 1)
            end
            = nobody_mailboxes.mailbox_name
    )

select *
from final_cte
