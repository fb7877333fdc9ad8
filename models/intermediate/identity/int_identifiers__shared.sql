with
    identifiers as (select * from {{ ref("int_identifiers__normalised") }}),
    records as (select * from {{ ref("int_person_records__keyed") }}),
    -- What more accounts have within so many days than a person or a family would, or
    -- accounts of more names, by the initials, which are seldom misspelled.
    accounts_cte as (
        select
            identifiers.identifier_type,
            identifiers.mailbox,
            identifiers.record_type,
            identifiers.record_id,
            min(identifiers.first_seen_at) as seen_at,
            min(
                least(
                    substring(records.first_name_key, 1, 1),
                    substring(records.last_name_key, 1, 1)
                ) || greatest(
                    substring(records.first_name_key, 1, 1),
                    substring(records.last_name_key, 1, 1)
                )
            ) as initials
        from identifiers
        left join
            records
            on identifiers.record_type = records.record_type
            and identifiers.record_id = records.record_id
        where
            not identifiers.is_alias
            and identifiers.identifier_type in ('email', 'phone')
            and identifiers.record_type in ('customer', 'contact', 'user')
        group by
            identifiers.identifier_type,
            identifiers.mailbox,
            identifiers.record_type,
            identifiers.record_id
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
    final_cte as (
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
    )

select *
from final_cte
