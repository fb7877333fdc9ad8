with
    identifiers as (select * from {{ ref("int_identifiers__unioned") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    nobody_mailboxes as (select * from {{ ref("nobody_mailboxes") }}),
    records as (select * from {{ ref("int_person_records__keyed") }}),
    dated_cte as (
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
        from dated_cte
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
    -- What more accounts have within so many days than a person or a family would, or
    -- accounts of more names, by the initials, which are seldom misspelled.
    accounts_cte as (
        select
            boxed_cte.identifier_type,
            boxed_cte.mailbox,
            boxed_cte.record_type,
            boxed_cte.record_id,
            min(boxed_cte.first_seen_at) as seen_at,
            min(
                least(
                    substring(records.first_name_key, 1, 1),
                    substring(records.last_name_key, 1, 1)
                ) || greatest(
                    substring(records.first_name_key, 1, 1),
                    substring(records.last_name_key, 1, 1)
                )
            ) as initials
        from boxed_cte
        left join
            records
            on boxed_cte.record_type = records.record_type
            and boxed_cte.record_id = records.record_id
        where
            boxed_cte.identifier_type in ('email', 'phone')
            and boxed_cte.record_type in ('customer', 'contact', 'user')
        group by
            boxed_cte.identifier_type,
            boxed_cte.mailbox,
            boxed_cte.record_type,
            boxed_cte.record_id
    ),
    crowds_cte as (
        select
            *,
            lead(seen_at, {{ var("shared_identifier_accounts") }}) over (
                partition by identifier_type, mailbox
                order by
                    seen_at nulls first, record_type nulls first, record_id nulls first
            ) as crowded_at
        from accounts_cte
    ),
    shared_cte as (
        select identifier_type, mailbox
        from crowds_cte
        group by identifier_type, mailbox
        having
            count(
                case
                    when
                        {{ microseconds_between("seen_at", "crowded_at") }}
                        <= cast({{ var("shared_identifier_days") }} as bigint)
                        * 86400000000
                    then 1
                end
            )
            > 0
            or count(distinct initials) > {{ var("shared_identifier_names") }}
    ),
    -- From then on it is another's: of those of one system who have had it, all have
    -- given it up when the next one gets it.
    holders_cte as (
        select
            identifier_type,
            identifier_value,
            record_id,
            first_seen_at,
            lag(record_id) over (
                partition by
                    identifier_type, identifier_value, source_system, record_type
                order by first_seen_at nulls first, record_id nulls first
            ) as previous_record_id,
            max(coalesce(last_seen_at, cast('9999-12-31' as timestamp))) over (
                partition by
                    identifier_type, identifier_value, source_system, record_type
                order by first_seen_at nulls first, record_id nulls first
                rows between unbounded preceding and 1 preceding
            ) as given_up_at
        from aliased_cte
        where is_held
    ),
    handovers_cte as (
        select distinct
            identifier_type, identifier_value, first_seen_at as handed_over_at
        from holders_cte
        where record_id <> previous_record_id and given_up_at <= first_seen_at
    ),
    parts_cte as (
        select
            identifier_type,
            identifier_value,
            handed_over_at,
            row_number() over (
                partition by identifier_type, identifier_value
                order by handed_over_at nulls first
            ) as part_number
        from handovers_cte
    ),
    placed_cte as (
        select
            aliased_cte.record_type,
            aliased_cte.record_id,
            aliased_cte.identifier_type,
            aliased_cte.identifier_value,
            aliased_cte.source_system,
            aliased_cte.is_held,
            aliased_cte.is_alias,
            aliased_cte.mailbox,
            aliased_cte.first_seen_at,
            aliased_cte.last_seen_at,
            coalesce(max(parts_cte.part_number), 0) as part_number
        from aliased_cte
        left join
            parts_cte
            on aliased_cte.identifier_type = parts_cte.identifier_type
            and aliased_cte.identifier_value = parts_cte.identifier_value
            and aliased_cte.first_seen_at >= parts_cte.handed_over_at
        group by
            aliased_cte.record_type,
            aliased_cte.record_id,
            aliased_cte.identifier_type,
            aliased_cte.identifier_value,
            aliased_cte.source_system,
            aliased_cte.is_held,
            aliased_cte.is_alias,
            aliased_cte.mailbox,
            aliased_cte.first_seen_at,
            aliased_cte.last_seen_at
    ),
    final_cte as (
        select
            placed_cte.record_type,
            placed_cte.record_id,
            placed_cte.identifier_type,
            placed_cte.identifier_value,
            placed_cte.source_system,
            cast(placed_cte.part_number as bigint) as part_number,
            placed_cte.is_held,
            placed_cte.is_alias,
            nobody_mailboxes.mailbox_name is not null as is_nobody,
            shared_cte.mailbox is not null as is_shared,
            placed_cte.first_seen_at,
            placed_cte.last_seen_at
        from placed_cte
        left join
            shared_cte
            on placed_cte.identifier_type = shared_cte.identifier_type
            and placed_cte.mailbox = shared_cte.mailbox
        left join
            nobody_mailboxes
            on case
                when placed_cte.identifier_type = 'email'
                then split_part(placed_cte.mailbox, '@', 1)
            end
            = nobody_mailboxes.mailbox_name
    )

select *
from final_cte
