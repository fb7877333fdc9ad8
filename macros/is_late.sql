{# Whether a reading of a device came more than 5 minutes after it was measured. #}
{% macro is_late(measured_at, received_at) -%}
    {{ microseconds_between(measured_at, received_at) }} > 300000000
{%- endmacro %}
