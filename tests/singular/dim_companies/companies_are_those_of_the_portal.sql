-- HubSpot's present companies, all of them and no others.
with
    expected_cte as (select company_id from {{ ref("stg_hubspot__companies") }}),
    actual_cte as (
        select source_company_id as company_id
        from {{ ref("dim_companies") }}
        where source_system = 'hubspot'
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

select 'missing' as problem, company_id
from missing_cte
union all
select 'unexpected' as problem, company_id
from unexpected_cte
