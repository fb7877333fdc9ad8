{# An exact percentile, interpolated between neighbours, of the values that are not null; fraction 0.5 is the median. #}
{% macro percentile(column, fraction) -%}
    {{ adapter.dispatch("percentile", "catchment")(column, fraction) }}
{%- endmacro %}

{% macro duckdb__percentile(column, fraction) -%}
    quantile_cont({{ column }}, {{ fraction }})
{%- endmacro %}

{% macro spark__percentile(column, fraction) -%}
    percentile({{ column }}, {{ fraction }})
{%- endmacro %}
