{# Parts of a URL, all null where there are none. The host is in lower case, without user and port. #}
{% macro url_host(url) -%}
    nullif(
        {{
            regex_extract(
                "lower(" ~ url ~ ")",
                "^[a-z][a-z0-9+.-]*://(?:[^/?#]*@)?(\\[[^/?#\\]]*\\]|[^/?#:@]+)",
            )
        }},
        ''
    )
{%- endmacro %}

{# A host without the name that many sites have beside their own. #}
{% macro without_www(host) -%}
    nullif(
        case
            when {{ host }} like 'www.%' then substr({{ host }}, 5) else {{ host }}
        end,
        ''
    )
{%- endmacro %}

{# Whether a host is part of another one's domain. #}
{% macro is_below(host, domain) -%}
    right({{ host }}, length({{ domain }}) + 1) = '.' || {{ domain }}
{%- endmacro %}

{# The path as it stands there; / for a URL that has a host only. #}
{% macro url_path(url) -%}
    case
        when {{ url_host(url) }} is not null
        then
            coalesce(
                nullif(regexp_extract({{ url }}, '^[^/?#]*//[^/?#]*(/[^?#]*)', 1), ''),
                '/'
            )
    end
{%- endmacro %}

{# A parameter of the query, decoded. #}
{% macro url_parameter(url, name) -%}
    nullif(
        {{
            url_decoded(
                "replace(regexp_extract("
                ~ url
                ~ ", '[?&]"
                ~ name
                ~ "=([^&#]*)', 1), '+', ' ')"
            )
        }},
        ''
    )
{%- endmacro %}

{# Text with its %C3%A9 decoded; as it is where a % begins no code, or where they are no UTF-8. #}
{% macro url_decoded(text) -%}
    case
        when
            {{
                matches(
                    text,
                    "%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)",
                )
            }}
        then {{ text }}
        else {{ adapter.dispatch("url_decoded_utf8", "catchment")(text) }}
    end
{%- endmacro %}

{% macro duckdb__url_decoded_utf8(text) -%}
    coalesce(try(url_decode({{ text }})), {{ text }})
{%- endmacro %}

{# Spark replaces what is no UTF-8. #}
{% macro spark__url_decoded_utf8(text) -%}
    case
        when contains(url_decode({{ text }}), '\ufffd')
        then {{ text }}
        else url_decode({{ text }})
    end
{%- endmacro %}
