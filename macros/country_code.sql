{#
    ISO 3166-1 alpha-2 from an alpha-2 or alpha-3 code or a name in English or a language of the country, in any
    case and punctuation; null if unknown. Looked up in the seed country_names.
#}
{% macro country_code(column) -%}
    (
        select max(country_names.iso_alpha_2)
        from {{ ref("country_names") }} as country_names
        where
            country_names.country_key
            = {{
                regex_replace_all(
                    "lower(nfc_normalize(" ~ column ~ "))", "[^\\p{L}\\p{M}]", ""
                )
            }}
    )
{%- endmacro %}
