with
    members as ({{ state_versions(source("mailchimp", "members"), "updated_at") }}),
    located_cte as (
        select *, {{ country_code("country") }} as country_code from members
    ),
    final_cte as (
        select
            list_id,
            member_id,
            nullif(contact_id, '') as contact_id,
            nullif(unique_email_id, '') as unique_email_id,
            {{ clean_email("email") }} as email,
            {{ email_alias_key(clean_email("email")) }} as email_alias_key,
            {{ clean_text("full_name") }} as full_name,
            nullif(status, '') as member_status,
            {{ clean_text("unsubscribe_reason") }} as unsubscribe_reason,
            nullif(language, '') as language_code,
            {{ clean_text("email_client") }} as email_client,
            country_code,
            {{ clean_text("source") }} as signup_source,
            nullif(tags, '') as tags,
            nullif(merge_fields, '') as merge_fields,
            {{
                clean_phone(
                    json_text("merge_fields", "$." ~ var("mailchimp_phone_field")),
                    "country_code",
                )
            }} as phone,
            {{
                social_handle(
                    json_text(
                        "merge_fields", "$." ~ var("mailchimp_social_handle_field")
                    )
                )
            }} as social_handle,
            nullif(interests, '') as interests,
            member_rating,
            average_open_rate,
            average_click_rate,
            is_vip,
            _is_gone as is_gone,
            cast(signed_up_at as timestamp) as signed_up_at,
            cast(opted_in_at as timestamp) as opted_in_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from located_cte
    )

select *
from final_cte
