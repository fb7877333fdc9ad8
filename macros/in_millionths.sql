{# A double in whole millionths, whose sums are exact in any order; null from 10^20 on. #}
{% macro in_millionths(value) -%}
    case
        when abs({{ value }}) < 1e20
        then cast(round(({{ value }}) * 1000000) as decimal(38, 0))
    end
{%- endmacro %}
