with
    customers as ({{ state_versions(source("shop", "customers"), "updated_at") }}),
    located_cte as (
        select *, {{ country_code("country") }} as country_code from customers
    ),
    final_cte as (
        select
            cast(customer_id as string) as customer_id,
            {{ clean_email("email") }} as email,
            {{ email_alias_key(clean_email("email")) }} as email_alias_key,
            {{ clean_phone("phone", "country_code") }} as phone,
            {{ clean_text("first_name") }} as first_name,
            {{ clean_text("last_name") }} as last_name,
            {{ clean_text("company_name") }} as company_name,
            country_code,
            is_business,
            has_marketing_consent,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            _is_gone as is_gone,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from located_cte
    )

select *
from final_cte
