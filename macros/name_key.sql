{#
    A name or an address as people compare it: lower case, without accents, letters and digits alone, one space
    between words; null if nothing is left. 'Ångström-Müller ' is 'angstrom muller'.
#}
{% macro name_key(text) -%}
    {%- set plain = without_accents("lower(" ~ text ~ ")") -%}
    {%- for letter, spelled in {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ı": "i",
    }.items() -%}
        {%- set plain = (
            "replace(" ~ plain ~ ", '" ~ letter ~ "', '" ~ spelled ~ "')"
        ) -%}
    {%- endfor -%}
    nullif(trim({{ regex_replace_all(plain, "[^\\p{L}\\p{N}]+", " ") }}), '')
{%- endmacro %}

{# Text without marks above and below its letters, in the decomposed form (NFD) where that has others. #}
{% macro without_accents(text) -%}
    {{ adapter.dispatch("without_accents", "catchment")(text) }}
{%- endmacro %}

{% macro duckdb__without_accents(text) -%} strip_accents({{ text }}) {%- endmacro %}

{% macro spark__without_accents(text) -%}
    case
        when {{ text }} rlike r'[^\x{0}-\x{7f}]'
        then
            regexp_replace(
                reflect('com.ibm.icu.text.Normalizer', 'decompose', {{ text }}, false),
                r'\p{M}',
                ''
            )
        else {{ text }}
    end
{%- endmacro %}

{# A text of letters a to z in which umlauts that are spelled with an e have none: mueller is muller. #}
{% macro short_umlauts(text) -%}
    replace(replace(replace({{ text }}, 'ae', 'a'), 'oe', 'o'), 'ue', 'u')
{%- endmacro %}

{#
    How many letters two keys are apart, by Levenshtein; null where one is not in ASCII, since the engines count other
    letters differently.
#}
{% macro edit_distance(one, other) -%}
    case
        when
            {{ matches(one, "^[\\x00-\\x7f]*$") }}
            and {{ matches(other, "^[\\x00-\\x7f]*$") }}
        then levenshtein({{ one }}, {{ other }})
    end
{%- endmacro %}
