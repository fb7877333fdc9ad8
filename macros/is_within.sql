{#
    Whether a moment lies in the half-open interval of a row: from its valid_from on and before its valid_to, which is
    null if it still holds. Written without `or`, with which DuckDB would join every row with every other.
#}
{% macro is_within(moment, relation) -%}
    {{ moment }} >= {{ relation }}.valid_from
    and {{ moment }}
    < coalesce({{ relation }}.valid_to, cast('9999-12-31' as timestamp))
{%- endmacro %}
