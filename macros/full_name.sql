{# A name as a whole, of its parts, of which some may be missing; null if there is none. #}
{% macro full_name(first_name, last_name) -%}
    nullif(
        trim(coalesce({{ first_name }}, '') || ' ' || coalesce({{ last_name }}, '')), ''
    )
{%- endmacro %}
