{# Whether a client calls itself a program that no person sits in front of: a crawler, a monitor, a script. #}
{% macro is_bot(user_agent) -%}
    coalesce(
        {{
            matches(
                "lower(" ~ user_agent ~ ")",
                "bot[/;),-]|crawl|spider|slurp|headless|phantomjs|lighthouse|pagespeed|monitor|uptime|pingdom|scrapy|facebookexternalhit|preview|^curl/|^wget/|python-|aiohttp|go-http-client|^java/|libwww|apache-httpclient|node-fetch|axios",
            )
        }},
        false
    )
{%- endmacro %}
