{%- set attributes -%} 'email', 'phone', 'visitor', 'device', 'social_handle' {%- endset -%}

with
    identifiers as (select * from {{ ref("int_identifiers__parted") }}),
    persons as (select * from {{ ref("int_identity_persons__found") }}),
    present_cte as (
        select identifier_type, identifier_value, node_id, person_id, since_at
        from persons
        where is_present
    ),
    -- What a record of the person had; and the records themselves.
    spans_cte as (
        select
            present_cte.person_id,
            identifiers.identifier_type,
            identifiers.identifier_value,
            identifiers.source_system,
            identifiers.is_nobody or identifiers.is_shared as is_ambiguous,
            identifiers.first_seen_at as valid_from,
            case when identifiers.is_held then identifiers.last_seen_at end as valid_to
        from identifiers
        inner join
            present_cte
            on {{ node_id("identifiers.record_type", "identifiers.record_id") }}
            = present_cte.node_id
        where
            not identifiers.is_alias
            and identifiers.identifier_type in ({{ attributes }})
        union all
        select
            person_id,
            identifier_type,
            identifier_value,
            split_part(identifier_value, ':', 1) as source_system,
            false as is_ambiguous,
            since_at as valid_from,
            cast(null as timestamp) as valid_to
        from present_cte
        where identifier_type not in ({{ attributes }})
    ),
    -- Stretches of time that touch or overlap are one.
    begun_cte as (
        select
            *,
            case
                when
                    valid_from
                    <= max(coalesce(valid_to, cast('9999-12-31' as timestamp))) over (
                        partition by
                            person_id, identifier_type, identifier_value, source_system
                        order by valid_from nulls first, valid_to desc
                        rows between unbounded preceding and 1 preceding
                    )
                then 0
                else 1
            end as stretch_start
        from spans_cte
    ),
    stretches_cte as (
        select
            *,
            sum(stretch_start) over (
                partition by person_id, identifier_type, identifier_value, source_system
                order by valid_from nulls first, valid_to desc
                rows between unbounded preceding and current row
            ) as stretch_number
        from begun_cte
    ),
    final_cte as (
        select
            person_id,
            identifier_type,
            identifier_value,
            source_system,
            bool_or(is_ambiguous) as is_ambiguous,
            count(*) <> count(valid_to) as is_current,
            min(valid_from) as valid_from,
            case when count(*) = count(valid_to) then max(valid_to) end as valid_to
        from stretches_cte
        group by
            person_id, identifier_type, identifier_value, source_system, stretch_number
    )

select *
from final_cte
