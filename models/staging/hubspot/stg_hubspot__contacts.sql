with
    contacts as ({{ current_state(source("hubspot", "contacts")) }}),
    located_cte as (
        select *, {{ country_code("country") }} as country_code from contacts
    ),
    final_cte as (
        select
            contact_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_email("email") }} as email,
            {{ email_alias_key(clean_email("email")) }} as email_alias_key,
            lower({{ clean_text("additional_emails") }}) as additional_emails,
            {{ clean_phone("phone", "country_code") }} as phone,
            {{ clean_phone("mobile_phone", "country_code") }} as mobile_phone,
            {{ clean_text("first_name") }} as first_name,
            {{ clean_text("last_name") }} as last_name,
            {{ clean_text("company_name") }} as company_name,
            {{ clean_text("job_title") }} as job_title,
            country_code,
            lower({{ clean_text("lifecycle_stage") }}) as lifecycle_stage,
            upper({{ clean_text("lead_status") }}) as lead_status,
            upper({{ clean_text("analytics_source") }}) as analytics_source,
            custom_properties,
            {{
                social_handle(
                    json_text(
                        "custom_properties",
                        "$." ~ var("hubspot_social_handle_property"),
                    )
                )
            }} as social_handle,
            is_email_opted_out,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from located_cte
    )

select *
from final_cte
