{# By how much a counter grew from one value to the next; one that stands lower was reset, and counts from 0. #}
{% macro counter_step(last_value, value) -%}
    case
        when {{ value }} < {{ last_value }}
        then {{ value }}
        else {{ value }} - {{ last_value }}
    end
{%- endmacro %}
