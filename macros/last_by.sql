{# In an aggregate: the value of the latest row that has one. (Where the latest is null, max_by alone is null on Spark.) #}
{% macro last_by(value, at) -%}
    max_by({{ value }}, case when {{ value }} is not null then {{ at }} end)
{%- endmacro %}
