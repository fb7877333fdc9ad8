{#
    Why two identifiers are one person's: the shortest chain of links between them, or all links of the person of one.
    `dbt run-operation explain --args '{one: anna@example.org, other: "shop:12"}'`. Values as in bridge_customer_identities.
#}
{% macro explain(one, other=none) %}
    {%- set query -%}
        select *
        from {{ ref("fct_identity_links") }}
        where
            person_id in (
                select person_id
                from {{ ref("fct_identity_links") }}
                where
                    left_value = '{{ dbt.escape_single_quotes(one) }}'
                    or right_value = '{{ dbt.escape_single_quotes(one) }}'
            )
        order by known_at nulls first, link_id nulls first
    {%- endset -%}
    {%- set links = run_query(query).rows -%}
    {%- if not links -%}
        {%- do exceptions.raise_compiler_error("no link has the identifier " ~ one) -%}
    {%- endif -%}
    {%- if other is none -%}
        {%- for link in links -%}
            {%- do log(_link_text(link), info=true) -%}
        {%- endfor -%}
    {%- else -%}
        {#- the link by which an identifier was reached, from `one` on, level by level -#}
        {%- set reached = {one: none} -%}
        {%- set found = namespace(news=[one], here=other) -%}
        {%- for step in range(links | length) if found.news and other not in reached -%}
            {%- set known = found.news -%} {%- set found.news = [] -%}
            {%- for link in links -%}
                {%- for here, there in [
                    (link["left_value"], link["right_value"]),
                    (link["right_value"], link["left_value"]),
                ] if here in known and there not in reached -%}
                    {%- do reached.update({there: (here, link)}) -%}
                    {%- do found.news.append(there) -%}
                {%- endfor -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if other not in reached -%}
            {%- do exceptions.raise_compiler_error(
                one ~ " and " ~ other ~ " are not one person's"
            ) -%}
        {%- endif -%}
        {%- set chain = [] -%}
        {%- for step in range(reached | length) if reached[found.here] is not none -%}
            {%- do chain.insert(0, reached[found.here][1]) -%}
            {%- set found.here = reached[found.here][0] -%}
        {%- endfor -%}
        {%- for link in chain -%} {%- do log(_link_text(link), info=true) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

{% macro _link_text(link) -%}
    {%- set score = ", score " ~ link["score"] if link["score"] is not none else "" -%}
    {%- set text -%}
        {{ link["left_type"] }} {{ link["left_value"] }} and {{ link["right_type"] }} {{ link["right_value"] }}: {{ link["evidence"] }}{{ score }}, since {{ link["known_at"] }}
    {%- endset -%}
    {{ return(text) }}
{%- endmacro %}
