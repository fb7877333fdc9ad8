{#
    The one language that a source declares of a text, without its region: one (en, en-GB) or a JSON array of them; null
    if none, several, or no code of two or three letters (ISO 639).
#}
{% macro only_language(languages) -%}
    case
        when {{ is_english(languages) }}
        then 'en'
        when
            {{
                matches(
                    languages, "^[^a-zA-Z]*[a-zA-Z]{2,3}(-[a-zA-Z0-9]+)*[^a-zA-Z]*$"
                )
            }}
        then
            lower(
                split_part(
                    {{ regex_replace_all(languages, "^[^a-zA-Z]+|[^a-zA-Z]+$", "") }},
                    '-',
                    1
                )
            )
    end
{%- endmacro %}
