{# In a select list: one row per day from `first_day` until before `end_day`, which is later. #}
{% macro day_rows(first_day, end_day) -%}
    {{ adapter.dispatch("day_rows", "catchment")(first_day, end_day) }}
{%- endmacro %}

{% macro duckdb__day_rows(first_day, end_day) -%}
    cast(
        unnest(
            generate_series({{ first_day }}, {{ end_day }} - 1, interval 1 day)
        ) as date
    )
{%- endmacro %}

{% macro spark__day_rows(first_day, end_day) -%}
    explode(sequence({{ first_day }}, date_sub({{ end_day }}, 1), interval 1 day))
{%- endmacro %}

{# All days from 1970 to 2100: date_day. (dbt's own date_spine multiplies by joins, of which Spark thinks for a minute.) #}
{% macro all_days() -%}
    select
        {{ day_rows("cast('1970-01-01' as date)", "cast('2101-01-01' as date)") }}
        as date_day
{%- endmacro %}
