{{
    config(
        materialized="incremental",
        unique_key="property_change_id",
        pre_hook="{{ forget_outdated_rows(source('hubspot', 'property_history'), 'property_change_id') }}",
    )
}}

with
    property_history as (
        {{
            current_event(
                undecided_rows(
                    source("hubspot", "property_history"), "property_change_id"
                )
            )
        }}
    ),
    final_cte as (
        select
            _key as property_change_id,
            object_id,
            source_id,
            changed_by_user_id,
            object_type,
            property_name,
            nullif(value, '') as value,
            source_type,
            _row_count as raw_row_count,
            cast(changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from property_history
    )

select *
from final_cte
