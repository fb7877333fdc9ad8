{#
    Connected components, and since when they have been: into the companion `components`, per node the oldest node that
    it is connected with, and since when; a row more for every older one that it was connected with later. Rows of
    a node with root_number falling and since_at rising say at any time t whose component it was: that with the newest
    since_at <= t. The last one is the component of today.

    `nodes` has node_number (a smaller one is older), node_id and known_at, `links` left_node_id, right_node_id and
    known_at (null: since both ends are known). In every round nodes tell their neighbours and their roots
    which older roots they know, and since when, and ask their roots what those know, so that rounds are few (8 of a chain of
    5,000). It ends when one changes nothing: the fixpoint.
#}
{% macro find_components(nodes, links) %}
    {%- if execute -%}
        {%- set edges = companion("edges") -%}
        {%- do run_query(_component_edges(edges, nodes, links)) -%}
        {%- do run_query(_component_start(companion("round_0"), nodes, edges)) -%}
        {%- set found = namespace(round=none) -%}
        {%- for round in range(1, 101) if found.round is none -%}
            {%- set before = companion("round_" ~ (round - 1) % 2) -%}
            {%- set after = companion("round_" ~ round % 2) -%}
            {%- do run_query(_component_round(after, before, edges)) -%}
            {%- set changed = run_query(
                "select count(*) from (select * from "
                ~ after
                ~ " except select * from "
                ~ before
                ~ ") as changes"
            ) -%}
            {%- if changed.columns[0].values()[0] == 0 -%}
                {%- set found.round = round -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if found.round is none -%}
            {{
                exceptions.raise_compiler_error(
                    "components of " ~ links ~ " are not found after 100 rounds"
                )
            }}
        {%- endif -%}
        {%- do run_query(
            _component_result(
                companion("components"),
                nodes,
                companion("round_" ~ found.round % 2),
            )
        ) -%}
        {%- for name in ["edges", "round_0", "round_1"] -%}
            {%- do run_query("drop table if exists " ~ companion(name)) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{# Both ways, by number, each once. #}
{% macro _component_edges(edges, nodes, links) %}
    create or replace table {{ edges }} as
    with
        ends as (
            select
                left_nodes.node_number as left_number,
                right_nodes.node_number as right_number,
                greatest(
                    coalesce(links.known_at, left_nodes.known_at),
                    left_nodes.known_at,
                    right_nodes.known_at
                ) as known_at
            from {{ links }} as links
            inner join {{ nodes }} as left_nodes on links.left_node_id = left_nodes.node_id
            inner join {{ nodes }} as right_nodes on links.right_node_id = right_nodes.node_id
            where links.left_node_id <> links.right_node_id
        ),
        both_ways as (
            select left_number as here_number, right_number as there_number, known_at
            from ends
            union all
            select right_number as here_number, left_number as there_number, known_at
            from ends
        )
    select here_number, there_number, min(known_at) as known_at
    from both_ways
    group by here_number, there_number
{% endmacro %}

{# Of nodes that have links, each is a component of its own at first. #}
{% macro _component_start(start, nodes, edges) %}
    create or replace table {{ start }} as
    select node_number, node_number as root_number, known_at as since_at
    from {{ nodes }}
    where node_number in (select here_number from {{ edges }})
{% endmacro %}

{#
    What a node knows after a round: of the roots reached, those that are older than all that it was connected with
    before. Of two roots that a node has reached the younger one learns of the older one: else a root would learn only
    what its neighbours pass on, step by step.
#}
{% macro _component_round(after, before, edges) %}
    create or replace table {{ after }} as
    with
        reached as (
            select *
            from {{ before }}
            union all
            select
                edges.here_number as node_number,
                known.root_number,
                greatest(edges.known_at, known.since_at) as since_at
            from {{ edges }} as edges
            inner join {{ before }} as known on edges.there_number = known.node_number
            union all
            select
                near.node_number,
                far.root_number,
                greatest(near.since_at, far.since_at) as since_at
            from {{ before }} as near
            inner join {{ before }} as far on near.root_number = far.node_number
            where near.root_number < near.node_number and far.root_number < near.root_number
        ),
        compared as ({{ _with_oldest_before("reached") }}),
        told as (
            select node_number, root_number, since_at
            from compared
            where oldest_before is null or root_number < oldest_before
            union all
            select
                greatest(root_number, oldest_before) as node_number,
                least(root_number, oldest_before) as root_number,
                since_at
            from compared
            where oldest_before is not null
        ),
        compared_again as ({{ _with_oldest_before("told") }})
    select node_number, root_number, since_at
    from compared_again
    where oldest_before is null or root_number < oldest_before
{% endmacro %}

{# Each root that a node has reached, since when, and the oldest one that it had reached by then. #}
{% macro _with_oldest_before(relation) %}
    select
        *,
        min(root_number) over (
            partition by node_number
            order by since_at nulls first, root_number nulls first
            rows between unbounded preceding and 1 preceding
        ) as oldest_before
    from
        (
            select node_number, root_number, min(since_at) as since_at
            from {{ relation }}
            group by node_number, root_number
        ) as soonest
{% endmacro %}

{% macro _component_result(result, nodes, last_round) %}
    create or replace table {{ result }} as
    select *
    from {{ last_round }}
    union all
    select node_number, node_number as root_number, known_at as since_at
    from {{ nodes }}
    where node_number not in (select node_number from {{ last_round }})
{% endmacro %}
