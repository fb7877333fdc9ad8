{#
    An account's name as people anywhere write it, user@server: a server leaves its own name out, which is in the address
    of the account's page.
#}
{% macro fediverse_handle(handle, url) -%}
    case
        when {{ handle }} like '%@%' or {{ url }} is null
        then {{ handle }}
        else {{ handle }} || '@' || split_part({{ url }}, '/', 3)
    end
{%- endmacro %}
