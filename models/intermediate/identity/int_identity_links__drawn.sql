with
    identifiers as (select * from {{ ref("int_identifiers__parted") }}),
    pairs as (select * from {{ ref("int_person_pairs__scored") }}),
    overrides as (select * from {{ ref("identity_overrides") }}),
    links_cte as (
        select
            record_type as left_type,
            record_id as left_value,
            0 as left_part,
            identifier_type as right_type,
            identifier_value as right_value,
            part_number as right_part,
            case when is_alias then 'mailbox' else identifier_type end as evidence,
            cast(null as bigint) as score,
            first_seen_at as known_at
        from identifiers
        where identifier_type <> 'phone' and not is_nobody and not is_shared
        union all
        select
            left_type,
            left_id as left_value,
            0 as left_part,
            right_type,
            right_id as right_value,
            0 as right_part,
            'similar: name '
            || name_level
            || ', phone '
            || phone_level
            || ', mailbox '
            || mailbox_level
            || ', address '
            || address_level
            || ', birth date '
            || birth_date_level as evidence,
            score,
            known_at
        from pairs
        where score >= {{ var("person_pair_min_score") }} and evidence_count >= 2
        union all
        select
            left_type,
            left_value,
            0 as left_part,
            right_type,
            right_value,
            0 as right_part,
            'override: ' || reason as evidence,
            cast(null as bigint) as score,
            cast(decided_on as timestamp) as known_at
        from overrides
        where action = 'link'
    ),
    -- Whichever way round they are named.
    unlinked_cte as (
        select left_type, left_value, right_type, right_value
        from overrides
        where action = 'unlink'
        union
        select
            right_type as left_type,
            right_value as left_value,
            left_type as right_type,
            left_value as right_value
        from overrides
        where action = 'unlink'
    ),
    judged_cte as (
        select links_cte.*, unlinked_cte.left_type is not null as is_overruled
        from links_cte
        left join
            unlinked_cte
            on links_cte.left_type = unlinked_cte.left_type
            and links_cte.left_value = unlinked_cte.left_value
            and links_cte.right_type = unlinked_cte.right_type
            and links_cte.right_value = unlinked_cte.right_value
    ),
    final_cte as (
        select
            {{ node_id("left_type", "left_value", "cast(left_part as string)") }}
            as left_node_id,
            left_type,
            left_value,
            {{ node_id("right_type", "right_value", "cast(right_part as string)") }}
            as right_node_id,
            right_type,
            right_value,
            evidence,
            min(score) as score,
            min(known_at) as known_at
        from judged_cte
        where not is_overruled
        group by
            left_type,
            left_value,
            left_part,
            right_type,
            right_value,
            right_part,
            evidence
    )

select *
from final_cte
