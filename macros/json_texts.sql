{#
    Members of a JSON text as columns of text, which is parsed once: json_texts("context", {"page_url": "$.page.url"});
    null where there is none. Paths as in json_text.
#}
{% macro json_texts(column, members) -%}
    {{ adapter.dispatch("json_texts", "catchment")(column, members) }}
{%- endmacro %}

{% macro duckdb__json_texts(column, members) -%}
    {%- set paths = "['" ~ members.values() | join("', '") ~ "']" -%}
    {%- for name in members -%}
        json_extract_string({{ column }}, {{ paths }})[{{ loop.index }}] as {{ name }}
        {%- if not loop.last %}, {% endif %}
    {%- endfor -%}
{%- endmacro %}

{% macro spark__json_texts(column, members) -%}
    {%- for name, path in members.items() -%}
        get_json_object({{ column }}, '{{ path }}') as {{ name }}
        {%- if not loop.last %}, {% endif %}
    {%- endfor -%}
{%- endmacro %}
