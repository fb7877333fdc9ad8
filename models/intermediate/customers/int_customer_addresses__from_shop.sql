with
    addresses as (select * from {{ ref("stg_shop__addresses") }}),
    final_cte as (
        select
            {{ source_key("shop", "address_id") }} as address_id,
            {{ source_key("shop", "customer_id") }} as customer_id,
            'shop' as source_system,
            address_type,
            line_1 as street_line,
            postal_code,
            city,
            country_code,
            updated_at
        from addresses
    )

select *
from final_cte
