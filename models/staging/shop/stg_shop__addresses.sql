with
    addresses as ({{ current_state(source("shop", "addresses")) }}),
    final_cte as (
        select
            cast(address_id as string) as address_id,
            cast(customer_id as string) as customer_id,
            address_type,
            {{ clean_text("line_1") }} as line_1,
            {{ clean_text("line_2") }} as line_2,
            {{ clean_text("postal_code") }} as postal_code,
            {{ clean_text("city") }} as city,
            {{ country_code("country") }} as country_code,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from addresses
    )

select *
from final_cte
