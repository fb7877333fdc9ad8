{#
    When something happened (UTC): the last moment of its day on the business's clock where only the day is known, so that
    what else is known of the day came before.
#}
{% macro moment(at, day) -%}
    coalesce({{ at }}, {{ business_midnight(day_after(day)) }})
{%- endmacro %}
