{# A time, or the beginning of all times (1970) where it is not known: what somebody has, and always had. #}
{% macro since_ever(column) -%}
    coalesce({{ column }}, cast('1970-01-01' as timestamp))
{%- endmacro %}
