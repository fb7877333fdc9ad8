{{
    config(
        materialized="incremental",
        unique_key="email_id",
        pre_hook="{{ forget_outdated_rows(source('hubspot', 'emails'), 'email_id') }}",
    )
}}

with
    emails as (
        {{ current_state(undecided_rows(source("hubspot", "emails"), "email_id")) }}
    ),
    final_cte as (
        select
            email_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("subject") }} as subject,
            upper({{ clean_text("direction") }}) as direction,
            upper({{ clean_text("status") }}) as status,
            {{ clean_email("from_email") }} as from_email,
            lower({{ clean_text("to_email") }}) as to_email,
            custom_properties,
            _row_count as raw_row_count,
            cast(occurred_at as timestamp) as occurred_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from emails
    )

select *
from final_cte
