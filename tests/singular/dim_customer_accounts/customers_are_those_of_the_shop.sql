-- The shop's present customers, all of them and no others.
with
    expected_cte as (select customer_id from {{ ref("stg_shop__customers") }}),
    actual_cte as (
        select source_customer_id as customer_id
        from {{ ref("dim_customer_accounts") }}
        where source_system = 'shop'
    )

    {{ differing_rows() }}
