with
    identifiers as (select * from {{ ref("int_identifiers__normalised") }}),
    shared as (select * from {{ ref("int_identifiers__shared") }}),
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
        from identifiers
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
            lead(handed_over_at, 1, cast('9999-12-31' as timestamp)) over (
                partition by identifier_type, identifier_value
                order by handed_over_at nulls first
            ) as next_handed_over_at,
            row_number() over (
                partition by identifier_type, identifier_value
                order by handed_over_at nulls first
            ) as part_number
        from handovers_cte
    ),
    final_cte as (
        select
            identifiers.record_type,
            identifiers.record_id,
            identifiers.identifier_type,
            identifiers.identifier_value,
            identifiers.source_system,
            cast(coalesce(parts_cte.part_number, 0) as bigint) as part_number,
            identifiers.is_held,
            identifiers.is_alias,
            identifiers.is_nobody,
            shared.mailbox is not null as is_shared,
            identifiers.first_seen_at,
            identifiers.last_seen_at
        from identifiers
        left join
            parts_cte
            on identifiers.identifier_type = parts_cte.identifier_type
            and identifiers.identifier_value = parts_cte.identifier_value
            and identifiers.first_seen_at >= parts_cte.handed_over_at
            and identifiers.first_seen_at < parts_cte.next_handed_over_at
        left join
            shared
            on identifiers.identifier_type = shared.identifier_type
            and identifiers.mailbox = shared.mailbox
    )

select *
from final_cte
