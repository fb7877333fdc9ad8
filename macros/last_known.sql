{# The newest value that is not null within a window, which has its order and frame. #}
{% macro last_known(expression, window) -%}
    {{ adapter.dispatch("last_known", "catchment")(expression, window) }}
{%- endmacro %}

{% macro duckdb__last_known(expression, window) -%}
    last_value({{ expression }} ignore nulls) over ({{ window }})
{%- endmacro %}

{% macro spark__last_known(expression, window) -%}
    last_value({{ expression }}) ignore nulls over ({{ window }})
{%- endmacro %}
