{#
    The day of the business to which a UTC timestamp belongs: after its midnight, until the next one, which is the day's own
    last moment. So what is known at midnight, and what comes after it, are of different days.
#}
{% macro business_day(utc_column) -%}
    cast({{ local_time(dbt.dateadd("microsecond", -1, utc_column)) }} as date)
{%- endmacro %}

{# When a day of the business begins, as a UTC timestamp. #}
{% macro business_midnight(day) -%}
    {{ adapter.dispatch("business_midnight", "catchment")(day) }}
{%- endmacro %}

{% macro duckdb__business_midnight(day) -%}
    timezone(
        'UTC', timezone('{{ var("business_time_zone") }}', cast({{ day }} as timestamp))
    )
{%- endmacro %}

{% macro spark__business_midnight(day) -%}
    to_utc_timestamp(cast({{ day }} as timestamp), '{{ var("business_time_zone") }}')
{%- endmacro %}
