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
    judged_cte as (
        select
            links_cte.*, coalesce(there.action, back.action) is not null as is_overruled
        from links_cte
        left join
            overrides as there
            on there.action = 'unlink'
            and links_cte.left_type = there.left_type
            and links_cte.left_value = there.left_value
            and links_cte.right_type = there.right_type
            and links_cte.right_value = there.right_value
        left join
            overrides as back
            on back.action = 'unlink'
            and links_cte.left_type = back.right_type
            and links_cte.left_value = back.right_value
            and links_cte.right_type = back.left_type
            and links_cte.right_value = back.left_value
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
