with
    links as (select * from {{ ref("int_identity_links__drawn") }}),
    persons as (select * from {{ ref("int_identity_persons__found") }}),
    final_cte as (
        select
            md5(
                links.left_node_id
                || ' '
                || links.right_node_id
                || ' '
                || links.evidence
            ) as link_id,
            persons.person_id,
            links.left_node_id as left_identifier_id,
            links.left_type,
            links.left_value,
            links.right_node_id as right_identifier_id,
            links.right_type,
            links.right_value,
            links.evidence,
            links.score,
            links.known_at
        from links
        inner join
            persons on links.left_node_id = persons.node_id and persons.is_present
    )

select *
from final_cte
