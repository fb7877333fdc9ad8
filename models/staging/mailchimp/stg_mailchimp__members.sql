with
    members as ({{ current_state(source("mailchimp", "members")) }}),
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
            {{ country_code("country") }} as country_code,
            {{ clean_text("source") }} as signup_source,
            nullif(tags, '') as tags,
            nullif(merge_fields, '') as merge_fields,
            nullif(interests, '') as interests,
            member_rating,
            average_open_rate,
            average_click_rate,
            is_vip,
            cast(signed_up_at as timestamp) as signed_up_at,
            cast(opted_in_at as timestamp) as opted_in_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from members
    )

select *
from final_cte
