{#
    Text as people mean it: Unicode NFC, runs of white space as one space, no control or zero-width characters,
    trimmed; null if nothing is left.
#}
{% macro clean_text(column) -%}
    {%- set visible = regex_replace_all(
        nfc(column),
        "[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\\x{200b}\\x{2060}\\x{feff}]",
        "",
    ) -%}
    nullif(trim({{ regex_replace_all(visible, "[\\s\\x0b\\p{Z}]+", " ") }}), '')
{%- endmacro %}
