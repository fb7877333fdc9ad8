-- HubSpot's present companies, all of them and no others.
with
    expected_cte as (select company_id from {{ ref("stg_hubspot__companies") }}),
    actual_cte as (
        select source_company_id as company_id
        from {{ ref("dim_companies") }}
        where source_system = 'hubspot'
    )

    {{ differing_rows() }}
