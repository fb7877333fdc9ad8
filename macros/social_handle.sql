{#
    An account's handle as identifiers have it: lower case, without @ before it, of the address of a profile on Bluesky or a
    Mastodon server what it stands for ('anna.example.org', 'anna@social.example').
#}
{% macro social_handle(text) -%}
    {%- set plain = regex_replace_all(
        "lower(trim(" ~ text ~ "))",
        "^(https?://)?(www[.])?(bsky[.]app/profile/)?@*",
        "",
    ) -%}
    nullif(
        case
            when {{ plain }} like '%/%'
            then
                {{
                    regex_extract(
                        regex_replace_all(plain, "^[^/]*/(@|users/)?", ""),
                        "^([^/?#@]+)",
                    )
                }} || '@' || split_part({{ plain }}, '/', 1)
            else {{ plain }}
        end,
        ''
    )
{%- endmacro %}
