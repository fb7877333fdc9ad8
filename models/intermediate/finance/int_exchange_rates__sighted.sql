with
    sightings as (select * from {{ ref("stg_exchange_rates__rate_sightings") }}),
    quotes_cte as (
        select
            base_currency_code as quoted_currency_code,
            currency_code,
            rate,
            rate_date,
            observed_at,
            built_in
        from sightings
        union all
        select
            base_currency_code as quoted_currency_code,
            base_currency_code as currency_code,
            1 as rate,
            rate_date,
            min(observed_at) as observed_at,
            min(built_in) as built_in
        from sightings
        group by base_currency_code, rate_date
    ),
    conversions_cte as (
        select
            quotes_cte.currency_code,
            base_quotes.currency_code as base_currency_code,
            cast(
                {{ ratio("base_quotes.rate", "quotes_cte.rate") }} as decimal(20, 12)
            ) as rate_to_base,
            quotes_cte.rate_date,
            greatest(quotes_cte.observed_at, base_quotes.observed_at) as observed_at,
            quotes_cte.built_in || ' ' || base_quotes.built_in as built_in,
            row_number() over (
                partition by quotes_cte.currency_code, quotes_cte.rate_date
                order by
                    greatest(
                        quotes_cte.observed_at, base_quotes.observed_at
                    ) nulls last,
                    quotes_cte.quoted_currency_code = base_quotes.currency_code desc,
                    quotes_cte.quoted_currency_code nulls last
            ) as preference
        from quotes_cte
        inner join
            quotes_cte as base_quotes
            on quotes_cte.quoted_currency_code = base_quotes.quoted_currency_code
            and quotes_cte.rate_date = base_quotes.rate_date
        where
            base_quotes.currency_code = '{{ var("base_currency") }}'
            and quotes_cte.rate > 0
    ),
    final_cte as (
        select
            currency_code,
            base_currency_code,
            rate_to_base,
            rate_date,
            cast({{ local_time("observed_at") }} as date) as observed_date,
            built_in
        from conversions_cte
        where preference = 1
    )

select *
from final_cte
