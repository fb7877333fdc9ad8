-- The open intervals are the present customers as they are, of every system that
-- keeps versions.
{% set columns = "customer_id, email, phone, first_name, last_name, company_name, country_code, is_business, has_marketing_consent, created_at" %}
with
    expected_cte as (
        select {{ columns }}
        from {{ ref("dim_customer_accounts") }}
        where
            source_system
            in (select source_system from {{ ref("dim_customer_accounts_history") }})
    ),
    actual_cte as (
        select {{ columns }}
        from {{ ref("dim_customer_accounts_history") }}
        where is_current
    )

    {{ differing_rows() }}
