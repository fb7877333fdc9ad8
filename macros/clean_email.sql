{#
    An e-mail address in lower case, without surrounding space or control characters; null if it is no address.
    International domain names stay as they are written: SQL has no IDNA.
#}
{% macro clean_email(column) -%}
    nullif(
        regexp_extract(
            lower({{ clean_text(column) }}), '^[^@ ,;<>]+@[^@ ,;<>]+[.][^@ ,;<>.]+$', 0
        ),
        ''
    )
{%- endmacro %}

{# The mailbox behind a clean address, without its +tag: what two addresses of one person have in common. #}
{% macro email_alias_key(column) -%}
    regexp_extract({{ column }}, '^[+]*[^+@]*', 0)
    || '@'
    || split_part({{ column }}, '@', 2)
{%- endmacro %}
