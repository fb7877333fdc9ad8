with
    rates as ({{ current_snapshot(source("exchange_rates", "rates")) }}),
    final_cte as (
        select
            {{ currency_code("base_currency") }} as base_currency_code,
            {{ currency_code("currency") }} as currency_code,
            rate,
            rate_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from rates
    )

select *
from final_cte
