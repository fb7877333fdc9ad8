{# ISO 4217 code in any case and with any space around it; null if it is none. Looked up in the seed currencies. #}
{% macro currency_code(column) -%}
    {%- set code = "upper(" ~ clean_text(column) ~ ")" -%}
    {{ lookup(ref("currencies"), "iso_currency_code", "iso_currency_code", code) }}
{%- endmacro %}
