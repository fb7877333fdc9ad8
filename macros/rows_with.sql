{# The raw rows that have text in a column: what a kind macro reads where the others say nothing. #}
{% macro rows_with(column, relation) -%}
    (select * from {{ relation }} where {{ column }} <> '')
{%- endmacro %}
