{#
    An IP address as a number: IPv4 below 2^32, and from there on the first 64 bits of IPv6; null if it is no address.
    So a network is a range of numbers, from that of its first address, ip_network_size(<prefix length>) long.
#}
{% macro ip_number(column) -%}
    {%- set groups = "split_part(" ~ column ~ ", '::', 1)" -%}
    case
        when {{ column }} like '%:%'
        then
            4294967296
            {%- for factor in [281474976710656, 4294967296, 65536, 1] %}
                + cast(
                    {{
                        hex_number(
                            "split_part(" ~ groups ~ ", ':', " ~ loop.index ~ ")"
                        )
                    }} as decimal(20, 0)
                )
                * {{ factor }}
            {%- endfor %}
        else
            {%- for factor in [16777216, 65536, 256, 1] %}
                {% if not loop.first %} +{% endif %}
                cast(
                    {{
                        dbt.safe_cast(
                            "split_part(" ~ column ~ ", '.', " ~ loop.index ~ ")",
                            "integer",
                        )
                    }} as decimal(20, 0)
                )
                * {{ factor }}
            {%- endfor %}
    end
{%- endmacro %}

{# How many numbers a network has, of a prefix length of IPv4 or (up to 64) of IPv6. #}
{% macro ip_network_size(network) -%}
    cast(
        pow(
            2,
            case when {{ network }} like '%:%' then 64 else 32 end
            - cast(split_part({{ network }}, '/', 2) as integer)
        ) as decimal(20, 0)
    )
{%- endmacro %}

{# The number that hexadecimal digits write: 0 without any, null if there is another character. #}
{% macro hex_number(text) -%}
    {{ adapter.dispatch("hex_number", "catchment")(text) }}
{%- endmacro %}

{% macro duckdb__hex_number(text) -%}
    try_cast('0x0' || {{ text }} as bigint)
{%- endmacro %}

{# conv stops at another character instead of failing. #}
{% macro spark__hex_number(text) -%}
    case
        when {{ text }} rlike '^[0-9A-Fa-f]*$'
        then cast(conv('0' || {{ text }}, 16, 10) as bigint)
    end
{%- endmacro %}
