{#
    An account's handle as identifiers have it: lower case, without @ before it, of the address of a profile on Bluesky or a
    Mastodon server what it stands for ('anna.example.org', 'anna@social.example').
#}
{% macro social_handle(text) -%}
    {%- set plain = "trim(lower(" ~ clean_text(text) ~ "))" -%}
    {%- set profile = regex_extract(
        plain, "^(?:https?://)?(?:www[.])?bsky[.]app/profile/([^/?#]+)"
    ) -%}
    {%- set server = regex_extract(plain, "^https?://([^/@]+)/(?:@|users/)[^/?#@]+") -%}
    {%- set user = regex_extract(plain, "^https?://[^/@]+/(?:@|users/)([^/?#@]+)") -%}
    nullif(
        case
            when {{ profile }} <> ''
            then {{ profile }}
            when {{ server }} <> ''
            then {{ user }} || '@' || {{ server }}
            else {{ regex_replace_all(plain, "^@+", "") }}
        end,
        ''
    )
{%- endmacro %}
