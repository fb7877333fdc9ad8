{{
    config(
        materialized="incremental",
        unique_key="customer_id",
        pre_hook=[
            "{{ take_stock(source('shop', 'customers'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(unmarked(source('shop', 'customers')), 'customer_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    customers as (
        {{
            current_event(
                unsighted_rows(unmarked(source("shop", "customers")), "customer_id")
            )
        }}
    ),
    final_cte as (
        select
            cast(customer_id as string) as customer_id,
            cast(created_at as timestamp) as created_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from customers
    )

select *
from final_cte
