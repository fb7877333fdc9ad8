-- HubSpot's present contacts, all of them and no others.
with
    expected_cte as (select contact_id from {{ ref("stg_hubspot__contacts") }}),
    actual_cte as (
        select source_contact_id as contact_id
        from {{ ref("dim_contacts") }}
        where source_system = 'hubspot'
    )

    {{ differing_rows() }}
