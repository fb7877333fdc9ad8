{#
    Whether a row of int_persons__by_identifier, joined under the name `persons`, is the person who had an identifier at a
    time (UTC): the condition by which a fact gets its person. Type, value and time are SQL. (Comparisons alone: with an
    `or`, DuckDB would compare every fact with every person.)
#}
{% macro is_person_at(persons, identifier_type, identifier_value, at) -%}
    {{ persons }}.identifier_type = {{ identifier_type }}
    and {{ persons }}.identifier_value = {{ identifier_value }}
    and {{ persons }}.valid_from <= {{ at }}
    and coalesce({{ persons }}.valid_to, cast('9999-12-31' as timestamp)) > {{ at }}
{%- endmacro %}
