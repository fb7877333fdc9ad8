{{
    config(
        pre_hook="{{ find_components(ref('int_identity_nodes__numbered'), ref('int_identity_links__drawn')) }}",
    )
}}

with
    nodes as (select * from {{ ref("int_identity_nodes__numbered") }}),
    components as (select * from {{ companion("components") }}),
    final_cte as (
        select
            nodes.node_id,
            nodes.identifier_type,
            nodes.identifier_value,
            roots.node_id as person_id,
            lead(components.since_at) over (
                partition by components.node_number order by components.root_number desc
            )
            is null as is_present,
            components.since_at,
            lead(components.since_at) over (
                partition by components.node_number order by components.root_number desc
            ) as until_at
        from components
        inner join nodes on components.node_number = nodes.node_number
        inner join nodes as roots on components.root_number = roots.node_number
    )

select *
from final_cte
