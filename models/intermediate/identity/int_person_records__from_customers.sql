with
    customers as (select * from {{ ref("int_customers__unioned") }}),
    addresses as (select * from {{ ref("int_customer_addresses__unioned") }}),
    -- Where the bills go; of several, the one that changed last.
    ranked_addresses_cte as (
        select
            *,
            row_number() over (
                partition by customer_id
                order by
                    case when address_type = 'billing' then 1 else 0 end desc,
                    updated_at desc,
                    address_id desc
            ) as recency
        from addresses
        where customer_id is not null
    ),
    final_cte as (
        select
            'customer' as record_type,
            customers.customer_id as record_id,
            customers.source_system,
            customers.email,
            customers.phone,
            customers.first_name,
            customers.last_name,
            {{ full_name("customers.first_name", "customers.last_name") }} as full_name,
            customers.company_name,
            ranked_addresses_cte.street_line,
            ranked_addresses_cte.postal_code,
            ranked_addresses_cte.city,
            customers.country_code,
            cast(null as string) as language_code,
            cast(null as date) as birth_date,
            customers.created_at,
            customers.updated_at
        from customers
        left join
            ranked_addresses_cte
            on customers.customer_id = ranked_addresses_cte.customer_id
            and ranked_addresses_cte.recency = 1
    )

select *
from final_cte
