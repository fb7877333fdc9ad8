{# The first group of a pattern's first match, '' if there is none; it must mean the same to RE2 (DuckDB) and Java (Spark). #}
{% macro regex_extract(text, pattern) -%}
    {{ adapter.dispatch("regex_extract", "catchment")(text, pattern) }}
{%- endmacro %}

{% macro duckdb__regex_extract(text, pattern) -%}
    regexp_extract({{ text }}, '{{ pattern }}', 1)
{%- endmacro %}

{% macro spark__regex_extract(text, pattern) -%}
    regexp_extract({{ text }}, r'{{ pattern }}', 1)
{%- endmacro %}
