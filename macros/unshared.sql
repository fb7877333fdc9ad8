{# The rows of a relation whose key no other row has, with the key and `columns`: what two rows share identifies neither. #}
{% macro unshared(relation, key, columns) %}
    select
        {{ key }},
        {%- for column in columns %}
            min({{ column }}) as {{ column }} {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ key }} is not null
    group by {{ key }}
    having count(*) = 1
{% endmacro %}
