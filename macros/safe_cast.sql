{# dbt's own safe_cast is a plain cast on both of our engines; this one gives null where the cast fails. #}
{% macro duckdb__safe_cast(field, type) -%}
    try_cast({{ field }} as {{ type }})
{%- endmacro %}

{# Asked with the name that Spark itself gives a type; its `timestamp` is the one with a time zone. #}
{% macro spark__safe_cast(field, type) -%}
    try_cast({{ field }} as {{ "timestamp_ltz" if type == "timestamp" else type }})
{%- endmacro %}
