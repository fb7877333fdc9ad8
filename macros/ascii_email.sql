{#
    A clean address with its domain as DNS has it (xn--...), so that both ways to write one meet; left as it is where
    the domain is not in the given relation, a join to int_email_domains__ascii on email_domain(column).
#}
{% macro ascii_email(column, domains) -%}
    case
        when {{ domains }}.ascii_domain_name is null
        then {{ column }}
        else split_part({{ column }}, '@', 1) || '@' || {{ domains }}.ascii_domain_name
    end
{%- endmacro %}

{% macro email_domain(column) -%} split_part({{ column }}, '@', 2){%- endmacro %}
