with
    identifiers as (select * from {{ ref("int_identifiers__parted") }}),
    persons as (select * from {{ ref("int_identity_persons__found") }}),
    parts_cte as (
        select
            identifier_type,
            identifier_value,
            part_number,
            {{
                node_id(
                    "identifier_type",
                    "identifier_value",
                    "cast(part_number as string)",
                )
            }} as node_id,
            min(first_seen_at) as first_seen_at
        from identifiers
        group by identifier_type, identifier_value, part_number
    ),
    -- The first one had it all the time before; of a browser that is who signed in
    -- there at last.
    intervals_cte as (
        select
            node_id,
            case when part_number > 0 then first_seen_at end as valid_from,
            lead(first_seen_at) over (
                partition by identifier_type, identifier_value
                order by part_number nulls first
            ) as valid_to
        from parts_cte
    ),
    final_cte as (
        select
            persons.identifier_type,
            persons.identifier_value,
            persons.person_id,
            {{ since_ever("intervals_cte.valid_from") }} as valid_from,
            intervals_cte.valid_to
        from persons
        left join intervals_cte on persons.node_id = intervals_cte.node_id
        where persons.is_present
    )

select *
from final_cte
