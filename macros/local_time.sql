{# The wall clock's reading in a time zone (IANA name) at a UTC timestamp; both are timestamps without zone. #}
{% macro local_time(utc_column, time_zone=var("business_time_zone")) -%}
    {{ adapter.dispatch("local_time", "catchment")(utc_column, time_zone) }}
{%- endmacro %}

{% macro duckdb__local_time(utc_column, time_zone) -%}
    timezone('{{ time_zone }}', timezone('UTC', {{ utc_column }}))
{%- endmacro %}

{% macro spark__local_time(utc_column, time_zone) -%}
    from_utc_timestamp({{ utc_column }}, '{{ time_zone }}')
{%- endmacro %}
