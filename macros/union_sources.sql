{#
    The rows of several relations, one below the other: the body of an input contract (int_*__unioned). Columns and
    types are those that the model's own YAML declares, so a relation may have its columns in any order, may have
    more of them, and gets an error that names the one it lacks.
#}
{% macro union_sources(relations) %}
    {% for relation in relations %}
        select
            {% for column in model.columns.values() %}
                cast({{ column.name }} as {{ column.data_type }}) as {{ column.name }}
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from {{ relation }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
{% endmacro %}
