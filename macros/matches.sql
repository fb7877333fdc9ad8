{# Whether a pattern is found in a text; it must mean the same to RE2 (DuckDB) and Java (Spark). #}
{% macro matches(text, pattern) -%}
    {{ adapter.dispatch("matches", "catchment")(text, pattern) }}
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro spark__matches(text, pattern) -%}
    {{ text }} rlike r'{{ pattern }}'
{%- endmacro %}
