{#
    Whether all languages that a source declares of a text are English, with or without a region: one (en, en-GB) or a
    JSON array of them. Such texts have a sentiment: ENGLISH in ingestion/enrichments.py says the same.
#}
{% macro is_english(languages) -%}
    {{
        matches(
            "lower(" ~ languages ~ ")",
            "^[^a-z]*en(-[a-z0-9]+)*([^a-z-]+en(-[a-z0-9]+)*)*[^a-z]*$",
        )
    }}
{%- endmacro %}
