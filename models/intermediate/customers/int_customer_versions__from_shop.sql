with
    customer_versions as (select * from {{ ref("stg_shop__customer_versions") }}),
    final_cte as (
        select
            {{ source_key("shop", "customer_id") }} as customer_id,
            'shop' as source_system,
            customer_id as source_customer_id,
            email,
            email_alias_key,
            phone,
            first_name,
            last_name,
            company_name,
            country_code,
            is_business,
            has_marketing_consent,
            is_gone,
            created_at,
            updated_at,
            changed_at
        from customer_versions
    )

select *
from final_cte
