{{
    config(
        materialized="incremental",
        unique_key="rate_id",
        pre_hook=[
            "{{ take_stock(source('exchange_rates', 'rates'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(unmarked(source('exchange_rates', 'rates')), 'rate_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    rates as (
        {{
            current_event(
                unsighted_rows(unmarked(source("exchange_rates", "rates")), "rate_id")
            )
        }}
    ),
    final_cte as (
        select
            _key as rate_id,
            {{ currency_code("base_currency") }} as base_currency_code,
            {{ currency_code("currency") }} as currency_code,
            rate,
            rate_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from rates
    )

select *
from final_cte
