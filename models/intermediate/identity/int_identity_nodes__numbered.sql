with
    links as (select * from {{ ref("int_identity_links__drawn") }}),
    records as (select * from {{ ref("int_person_records__keyed") }}),
    ends_cte as (
        select
            left_node_id as node_id,
            left_type as identifier_type,
            left_value as identifier_value,
            known_at
        from links
        union all
        select
            right_node_id as node_id,
            right_type as identifier_type,
            right_value as identifier_value,
            known_at
        from links
        union all
        -- Whoever has nothing in common with anybody is a person as well.
        select
            {{ node_id("record_type", "record_id") }} as node_id,
            record_type as identifier_type,
            record_id as identifier_value,
            known_at
        from records
    ),
    nodes_cte as (
        select
            node_id,
            min(identifier_type) as identifier_type,
            min(identifier_value) as identifier_value,
            min(known_at) as known_at
        from ends_cte
        group by node_id
    ),
    final_cte as (
        select
            row_number() over (
                order by
                    known_at nulls first,
                    identifier_type nulls first,
                    identifier_value nulls first,
                    node_id nulls first
            ) as node_number,
            node_id,
            identifier_type,
            identifier_value,
            known_at
        from nodes_cte
    )

select *
from final_cte
