{#
    Accounts of fct_customer_days: from the end of first_date on something of one is known, and up to as_of_date, the last
    day of which its system has told, nothing is missing.
#}
{% macro known_customers(customer_days) %}
    select
        customer_id,
        min(known_date) as first_date,
        least(
            max(max(told_date)) over (partition by source_system),
            max(max(business_date)) over (partition by source_system)
        ) as as_of_date
    from {{ customer_days }}
    where told_date is not null
    group by customer_id, source_system
{% endmacro %}
