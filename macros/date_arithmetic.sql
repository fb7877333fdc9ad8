{#
    dbt's dateadd and datediff on Spark as they are on DuckDB. Its own ones there lose what is below a second, fail for
    a null, and count weeks from Sunday.
#}
{# A timestamp, also where a date is given. #}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    timestampadd(
        {{ datepart }}, {{ interval }}, cast({{ from_date_or_timestamp }} as timestamp)
    )
{%- endmacro %}

{# How many beginnings of a second, hour, day, week (Monday) ... lie between the two; a bigint. #}
{% macro spark__datediff(first_date, second_date, datepart) -%}
    timestampdiff(
        {{ datepart }},
        date_trunc('{{ datepart }}', {{ first_date }}),
        date_trunc('{{ datepart }}', {{ second_date }})
    )
{%- endmacro %}
