{#
    A phone number in E.164 ('+4989123456'); null if it is too short, too long or a placeholder. A number without
    + or 00 is a national one of `country_code` (ISO 3166-1 alpha-2, an expression over the row): its trunk prefix
    goes and the calling code comes, both from the seed countries. Extensions are dropped.
#}
{% macro clean_phone(column, country_code) -%}
    {%- set dialled = regex_replace_all(
        regex_replace_all(column, "(?i)( x|ext|#).*$|[(]0[)]|[^0-9+]", ""),
        "^00",
        "+",
    ) -%}
    {%- set trunk = country_attribute(country_code, "trunk_prefix") -%}
    {%- set number -%}
        case
            when {{ dialled }} like '+%'
            then {{ dialled }}
            when {{ dialled }} like {{ trunk }} || '%'
            then
                '+'
                || {{ country_attribute(country_code, "calling_code") }}
                || substring({{ dialled }}, length({{ trunk }}) + 1)
            else '+' || {{ country_attribute(country_code, "calling_code") }} || {{ dialled }}
        end
    {%- endset -%}
    case
        when
            regexp_extract(
                {{ number }},
                '^[+][0-9]{1,3}(0{5,}|1{5,}|2{5,}|3{5,}|4{5,}|5{5,}|6{5,}|7{5,}|8{5,}|9{5,}|0?1234567?8?9?0?|9?876543?2?1?0?)$',
                0
            )
            = ''
        then nullif(regexp_extract({{ number }}, '^[+][1-9][0-9]{7,14}$', 0), '')
    end
{%- endmacro %}

{% macro country_attribute(country_code, attribute) -%}
    {{ lookup(ref("countries"), "iso_alpha_2", attribute, country_code) }}
{%- endmacro %}
