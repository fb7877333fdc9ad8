{#
    A source's id, qualified by its system, as intermediate models and marts use it: 'shop:123'.
    Null stays null. Two systems may number their rows alike, their keys never meet.
#}
{% macro source_key(system, column) -%}
    '{{ system }}:' || cast({{ column }} as string)
{%- endmacro %}
