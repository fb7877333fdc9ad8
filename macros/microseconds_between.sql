{# Microseconds from one timestamp to another, as a bigint: sums of them are exact, in any order. #}
{% macro microseconds_between(first_at, last_at) -%}
    {{ adapter.dispatch("microseconds_between", "catchment")(first_at, last_at) }}
{%- endmacro %}

{% macro duckdb__microseconds_between(first_at, last_at) -%}
    (epoch_us({{ last_at }}) - epoch_us({{ first_at }}))
{%- endmacro %}

{% macro spark__microseconds_between(first_at, last_at) -%}
    timestampdiff(microsecond, {{ first_at }}, {{ last_at }})
{%- endmacro %}
