{# The value of a small table (a seed) whose key column equals an expression over the row; null where none does. #}
{% macro lookup(relation, key_column, value_column, key) -%}
    {{
        adapter.dispatch("lookup", "catchment")(
            relation, key_column, value_column, key
        )
    }}
{%- endmacro %}

{% macro duckdb__lookup(relation, key_column, value_column, key) -%}
    (
        select max(looked_up.{{ value_column }})
        from {{ relation }} as looked_up
        where looked_up.{{ key_column }} = {{ key }}
    )
{%- endmacro %}

{# As a map, and not as a join as above: in the condition of a join Spark can't call Java, as macro nfc does. #}
{% macro spark__lookup(relation, key_column, value_column, key) -%}
    element_at(
        (
            select
                map_from_entries(collect_list(struct(looked_up_key, looked_up_value)))
            from
                (
                    select
                        {{ key_column }} as looked_up_key,
                        max({{ value_column }}) as looked_up_value
                    from {{ relation }}
                    where {{ key_column }} is not null
                    group by {{ key_column }}
                ) as entries
        ),
        {{ key }}
    )
{%- endmacro %}
