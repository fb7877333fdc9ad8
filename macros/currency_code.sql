{# ISO 4217 code in any case and with any space around it; null if it is none. Looked up in the seed currencies. #}
{% macro currency_code(column) -%}
    (
        select max(currencies.iso_currency_code)
        from {{ ref("currencies") }} as currencies
        where currencies.iso_currency_code = upper({{ clean_text(column) }})
    )
{%- endmacro %}
