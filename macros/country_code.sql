{#
    ISO 3166-1 alpha-2 from an alpha-2 or alpha-3 code or a name in English or a language of the country, in any
    case and punctuation; null if unknown. Looked up in the seed country_names.
#}
{% macro country_code(column) -%}
    {%- set country_key = regex_replace_all(
        "lower(" ~ nfc(column) ~ ")", "[^\\p{L}\\p{M}]", ""
    ) -%}
    {{ lookup(ref("country_names"), "country_key", "iso_alpha_2", country_key) }}
{%- endmacro %}
