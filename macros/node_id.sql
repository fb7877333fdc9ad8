{#
    The hash by which an identifier is known in identity resolution: of its type, its value, and which of those who had
    it one after the other it is of (0 is the first; int_identifiers__parted).
#}
{% macro node_id(type, value, part="'0'") -%}
    md5({{ type }} || ' ' || {{ part }} || ' ' || {{ value }})
{%- endmacro %}
