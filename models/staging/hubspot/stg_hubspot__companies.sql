with
    companies as ({{ current_state(source("hubspot", "companies")) }}),
    located_cte as (
        select *, {{ country_code("country") }} as country_code from companies
    ),
    final_cte as (
        select
            company_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("company_name") }} as company_name,
            lower({{ clean_text("domain") }}) as domain_name,
            upper({{ clean_text("industry") }}) as industry,
            {{ clean_phone("phone", "country_code") }} as phone,
            {{ clean_text("city") }} as city,
            country_code,
            lower({{ clean_text("lifecycle_stage") }}) as lifecycle_stage,
            custom_properties,
            employee_count,
            cast(annual_revenue as decimal(18, 4)) as annual_revenue,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from located_cte
    )

select *
from final_cte
