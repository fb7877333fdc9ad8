{# In how many of their 64 bits two bigints differ. #}
{% macro hamming_distance(one, other) -%}
    {{ adapter.dispatch("hamming_distance", "catchment")(one, other) }}
{%- endmacro %}

{% macro duckdb__hamming_distance(one, other) -%}
    bit_count(xor({{ one }}, {{ other }}))
{%- endmacro %}

{% macro spark__hamming_distance(one, other) -%}
    bit_count({{ one }} ^ {{ other }})
{%- endmacro %}

{# `width` of the bits of a bigint as a number of their own, from bit `start` on; 0 is the lowest. #}
{% macro bits(value, start, width) -%}
    {{
        adapter.dispatch("bits", "catchment")(
            value, start, 2**width - 1 if width < 64 else -1
        )
    }}
{%- endmacro %}

{# (Both engines fill with the sign from above, where the mask lets nothing through.) #}
{% macro duckdb__bits(value, start, mask) -%}
    (({{ value }} >> {{ start }}) & cast({{ mask }} as bigint))
{%- endmacro %}

{% macro spark__bits(value, start, mask) -%}
    (shiftright({{ value }}, {{ start }}) & cast({{ mask }} as bigint))
{%- endmacro %}
