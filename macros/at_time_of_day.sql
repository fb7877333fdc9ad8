{# The timestamp of a day at a time of day written as '09:30'; '24:00' is the next midnight. #}
{% macro at_time_of_day(date_day, time_of_day) -%}
    {%- set minutes -%}
        (cast(split_part({{ time_of_day }}, ':', 1) as int) * 60 + cast(split_part({{ time_of_day }}, ':', 2) as int))
    {%- endset -%}
    {{ dbt.dateadd("minute", minutes, "cast(" ~ date_day ~ " as timestamp)") }}
{%- endmacro %}
