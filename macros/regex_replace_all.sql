{# Every match of a pattern replaced; the pattern must mean the same to RE2 (DuckDB) and Java (Spark). #}
{% macro regex_replace_all(text, pattern, replacement) -%}
    {{ adapter.dispatch("regex_replace_all", "catchment")(text, pattern, replacement) }}
{%- endmacro %}

{% macro duckdb__regex_replace_all(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{# A raw literal, because Spark's plain ones lose the backslash. #}
{% macro spark__regex_replace_all(text, pattern, replacement) -%}
    regexp_replace({{ text }}, r'{{ pattern }}', '{{ replacement }}')
{%- endmacro %}
