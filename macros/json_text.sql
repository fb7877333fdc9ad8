{#
    A member of a JSON text, as text: json_text("custom_properties", "$.coffee_preference"); null where there is none.
    The path must mean the same to both engines: names of letters, digits and _, and [0], [1], ...
#}
{% macro json_text(column, path) -%}
    {{ adapter.dispatch("json_text", "catchment")(column, path) }}
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    json_extract_string({{ column }}, '{{ path }}')
{%- endmacro %}

{% macro spark__json_text(column, path) -%}
    get_json_object({{ column }}, '{{ path }}')
{%- endmacro %}
