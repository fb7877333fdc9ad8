{{ config(materialized="table") }}

with
    exchange_rates as (
        {{ daily_rates(ref("stg_exchange_rates__rates"), var("max_rate_age_days")) }}
    ),
    -- What one unit of a published currency costs in every currency, itself included.
    quotes_cte as (
        select
            base_currency_code as quoted_currency_code,
            currency_code,
            rate,
            rate_age_days,
            rate_date
        from exchange_rates
        union all
        select
            base_currency_code as quoted_currency_code,
            base_currency_code as currency_code,
            1 as rate,
            min(rate_age_days) as rate_age_days,
            rate_date
        from exchange_rates
        group by base_currency_code, rate_date
    ),
    -- Through any currency that has a rate to both: it need not be the base currency
    -- that is published.
    conversions_cte as (
        select
            quotes_cte.quoted_currency_code,
            quotes_cte.currency_code,
            base_quotes.currency_code as base_currency_code,
            -- A double has more digits than a rate; amounts stay decimals.
            cast(
                {{ ratio("base_quotes.rate", "quotes_cte.rate") }} as decimal(20, 12)
            ) as rate_to_base,
            greatest(
                quotes_cte.rate_age_days, base_quotes.rate_age_days
            ) as rate_age_days,
            quotes_cte.rate_date
        from quotes_cte
        inner join
            quotes_cte as base_quotes
            on quotes_cte.quoted_currency_code = base_quotes.quoted_currency_code
            and quotes_cte.rate_date = base_quotes.rate_date
        where
            base_quotes.currency_code = '{{ var("base_currency") }}'
            and quotes_cte.rate > 0
    ),
    ranked_conversions_cte as (
        select
            *,
            row_number() over (
                partition by currency_code, rate_date
                order by
                    rate_age_days nulls last,
                    quoted_currency_code = base_currency_code desc,
                    quoted_currency_code nulls last
            ) as preference
        from conversions_cte
    ),
    final_cte as (
        select currency_code, base_currency_code, rate_to_base, rate_age_days, rate_date
        from ranked_conversions_cte
        where preference = 1
    )

select *
from final_cte
