with
    customers as (select * from {{ ref("stg_shop__customers") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    addressed_cte as (
        select
            customers.*,
            {{ ascii_email("customers.email", "email_domains") }} as ascii_email
        from customers
        left join
            email_domains
            on {{ email_domain("customers.email") }} = email_domains.domain_name
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
            created_at,
            updated_at
        from addressed_cte
    )

select *
from final_cte
