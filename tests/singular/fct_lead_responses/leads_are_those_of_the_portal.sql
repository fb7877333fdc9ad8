-- HubSpot's present leads, all of them and no others.
with
    expected_cte as (select lead_id from {{ ref("stg_hubspot__leads") }}),
    actual_cte as (
        select source_lead_id as lead_id
        from {{ ref("fct_lead_responses") }}
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

select 'missing' as problem, lead_id
from missing_cte
union all
select 'unexpected' as problem, lead_id
from unexpected_cte
