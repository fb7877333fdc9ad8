{#
    Exchange rates for every day, from a relation with base_currency_code, currency_code, rate, rate_date: each
    day has the last rate known by then, at most `max_age_days` old, with rate_age_days; a longer silence leaves
    days out. So an amount finds its rate by equality, on any engine. Columns: base_currency_code, currency_code,
    rate, rate_age_days, rate_date (the day it is used for).
#}
{% macro daily_rates(relation, max_age_days) %}
    select base_currency_code, currency_code, rate, rate_age_days, rate_date
    from
        (
            select
                *,
                row_number() over (
                    partition by base_currency_code, currency_code, rate_date
                    order by rate_age_days nulls last
                ) as recency
            from
                (
                    {% for age_days in range(max_age_days + 1) %}
                        select
                            base_currency_code,
                            currency_code,
                            rate,
                            {{ age_days }} as rate_age_days,
                            cast(
                                {{ dbt.dateadd("day", age_days, "rate_date") }} as date
                            ) as rate_date
                        from {{ relation }}
                        {% if not loop.last %}
                            union all
                        {% endif %}
                    {% endfor %}
                ) as carried_rates
        ) as ranked_rates
    where recency = 1
{% endmacro %}
