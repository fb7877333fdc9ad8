-- No fifth has two people more than another, and nobody in a higher one bought less.
{% for fifth, measure in {
    "recency_fifth": "-recency_days",
    "frequency_fifth": "order_count",
    "monetary_fifth": "net_revenue_amount_base",
}.items() %}
    {% if not loop.first %}
        union all
    {% endif %}
    select '{{ fifth }}' as problem, lower_fifths.fifth
    from
        (
            select {{ fifth }} as fifth, count(*) as people, max({{ measure }}) as most
            from {{ ref("fct_customer_value") }}
            where {{ fifth }} is not null
            group by {{ fifth }}
        ) as lower_fifths
    inner join
        (
            select {{ fifth }} as fifth, count(*) as people, min({{ measure }}) as least
            from {{ ref("fct_customer_value") }}
            where {{ fifth }} is not null
            group by {{ fifth }}
        ) as higher_fifths
        on lower_fifths.fifth < higher_fifths.fifth
    where
        lower_fifths.most > higher_fifths.least
        or lower_fifths.people - higher_fifths.people not between 0
        and 1
{% endfor %}
