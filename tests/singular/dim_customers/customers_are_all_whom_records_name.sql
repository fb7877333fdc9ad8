-- Whoever has an account, a contact or a sale is one customer, with all of them.
with
    expected_cte as (
        select
            (select count(*) from {{ ref("dim_customer_accounts") }}) as accounts,
            (
                select count(distinct identifier_value)
                from {{ ref("bridge_customer_identities") }}
                where identifier_type = 'contact'
            ) as contacts,
            (
                select coalesce(sum(order_count), 0)
                from {{ ref("fct_customer_value") }}
            ) as orders
    ),
    actual_cte as (
        select
            coalesce(sum(account_count), 0) as accounts,
            coalesce(sum(contact_count), 0) as contacts,
            coalesce(sum(order_count), 0) as orders
        from {{ ref("dim_customers") }}
    )

    {{ differing_rows() }}
