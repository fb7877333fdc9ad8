-- The shop's present customers, all of them and no others.
with
    expected_cte as (select customer_id from {{ ref("stg_shop__customers") }}),
    actual_cte as (
        select source_customer_id as customer_id
        from {{ ref("dim_customer_accounts") }}
        where source_system = 'shop'
    ),
    missing_cte as (
        select *
        from expected_cte
        except
        select *
        from actual_cte
    ),
    unexpected_cte as (
        select *
        from actual_cte
        except
        select *
        from expected_cte
    )

select 'missing' as problem, customer_id
from missing_cte
union all
select 'unexpected' as problem, customer_id
from unexpected_cte
