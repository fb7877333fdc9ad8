{# In a select list: one row per part of a text with separators; none where it is null. #}
{% macro split_rows(column, separator) -%}
    {{ adapter.dispatch("split_rows", "catchment")(column, separator) }}
{%- endmacro %}

{% macro duckdb__split_rows(column, separator) -%}
    unnest(string_split({{ column }}, '{{ separator }}'))
{%- endmacro %}

{% macro spark__split_rows(column, separator) -%}
    explode(split({{ column }}, '{{ separator }}'))
{%- endmacro %}
