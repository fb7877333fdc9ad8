with
    buyers as (select * from {{ ref("int_order_buyers__unioned") }}),
    final_cte as (
        select
            'order' as record_type,
            order_id as record_id,
            source_system,
            email,
            phone,
            cast(null as string) as first_name,
            cast(null as string) as last_name,
            full_name,
            cast(null as string) as company_name,
            street_line,
            postal_code,
            city,
            country_code,
            cast(null as string) as language_code,
            cast(null as date) as birth_date,
            ordered_at as created_at,
            ordered_at as updated_at
        from buyers
    )

select *
from final_cte
