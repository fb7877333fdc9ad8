-- HubSpot's present leads, all of them and no others.
with
    expected_cte as (select lead_id from {{ ref("stg_hubspot__leads") }}),
    actual_cte as (
        select source_lead_id as lead_id
        from {{ ref("fct_lead_responses") }}
        where source_system = 'hubspot'
    )

    {{ differing_rows() }}
