-- HubSpot's present contacts, all of them and no others.
with
    expected_cte as (select contact_id from {{ ref("stg_hubspot__contacts") }}),
    actual_cte as (
        select source_contact_id as contact_id
        from {{ ref("dim_contacts") }}
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

select 'missing' as problem, contact_id
from missing_cte
union all
select 'unexpected' as problem, contact_id
from unexpected_cte
