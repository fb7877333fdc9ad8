-- Every business account is one company's, with what it brought.
with
    expected_cte as (
        select count(*) as accounts, coalesce(sum(net_revenue_amount_base), 0) as amount
        from {{ ref("dim_customer_accounts") }}
        where is_business or company_name is not null
    ),
    actual_cte as (
        select
            coalesce(sum(customer_account_count), 0) as accounts,
            coalesce(sum(net_revenue_amount_base), 0) as amount
        from {{ ref("dim_companies") }}
    )

    {{ differing_rows() }}
