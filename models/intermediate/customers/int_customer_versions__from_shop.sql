with
    customer_versions as (select * from {{ ref("stg_shop__customer_versions") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    addressed_cte as (
        select
            customer_versions.*,
            {{ ascii_email("customer_versions.email", "email_domains") }} as ascii_email
        from customer_versions
        left join
            email_domains
            on {{ email_domain("customer_versions.email") }} = email_domains.domain_name
    ),
    final_cte as (
        select
            {{ source_key("shop", "customer_id") }} as customer_id,
            'shop' as source_system,
            customer_id as source_customer_id,
            ascii_email as email,
            {{ email_alias_key("ascii_email") }} as email_alias_key,
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
        from addressed_cte
    )

select *
from final_cte
