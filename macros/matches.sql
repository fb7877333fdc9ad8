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

{# The same with a column that has the pattern. #}
{% macro matches_pattern(text, column) -%}
    {{ adapter.dispatch("matches_pattern", "catchment")(text, column) }}
{%- endmacro %}

{% macro duckdb__matches_pattern(text, column) -%}
    regexp_matches({{ text }}, {{ column }})
{%- endmacro %}

{% macro spark__matches_pattern(text, column) -%}
    {{ text }} rlike {{ column }}
{%- endmacro %}
