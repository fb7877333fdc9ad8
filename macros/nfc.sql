{# Text in Unicode's composed form (NFC), in which two ways to write one text are one. #}
{% macro nfc(text) -%} {{ adapter.dispatch("nfc", "catchment")(text) }} {%- endmacro %}

{% macro duckdb__nfc(text) -%} nfc_normalize({{ text }}) {%- endmacro %}

{# Spark has none, but can call Java: ICU4J's. Below U+0300 all text is in this form, and the call is saved. #}
{% macro spark__nfc(text) -%}
    case
        when {{ text }} rlike r'[^\x{0}-\x{2ff}]'
        then reflect('com.ibm.icu.text.Normalizer', 'compose', {{ text }}, false)
        else {{ text }}
    end
{%- endmacro %}
