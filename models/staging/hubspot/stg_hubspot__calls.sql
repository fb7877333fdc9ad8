{{
    config(
        materialized="incremental",
        unique_key="call_id",
        pre_hook="{{ forget_outdated_rows(source('hubspot', 'calls'), 'call_id') }}",
    )
}}

with
    calls as (
        {{ current_state(undecided_rows(source("hubspot", "calls"), "call_id")) }}
    ),
    final_cte as (
        select
            call_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("title") }} as title,
            upper({{ clean_text("direction") }}) as direction,
            upper({{ clean_text("status") }}) as status,
            nullif(disposition, '') as disposition,
            custom_properties,
            duration_ms,
            _row_count as raw_row_count,
            cast(occurred_at as timestamp) as occurred_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from calls
    )

select *
from final_cte
