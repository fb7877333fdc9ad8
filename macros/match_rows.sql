{#
    In a select list: one row per match of a pattern in a text, with the match's first group; none where there is no match.
    The pattern must mean the same to RE2 (DuckDB) and Java (Spark).
#}
{% macro match_rows(text, pattern) -%}
    {{ adapter.dispatch("match_rows", "catchment")(text, pattern) }}
{%- endmacro %}

{% macro duckdb__match_rows(text, pattern) -%}
    unnest(regexp_extract_all({{ text }}, '{{ pattern }}', 1))
{%- endmacro %}

{% macro spark__match_rows(text, pattern) -%}
    explode(regexp_extract_all({{ text }}, r'{{ pattern }}', 1))
{%- endmacro %}
