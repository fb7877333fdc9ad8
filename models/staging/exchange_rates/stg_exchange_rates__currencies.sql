with
    currencies as ({{ current_snapshot(source("exchange_rates", "currencies")) }}),
    final_cte as (
        select
            {{ currency_code("currency") }} as currency_code,
            {{ clean_text("currency_name") }} as currency_name,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from currencies
    )

select *
from final_cte
