with
    statuses as ({{ current_state(source("mastodon", "statuses")) }}),
    final_cte as (
        select
            status_id,
            uri as status_uri,
            account_id,
            reblog_of_id as boosted_status_id,
            in_reply_to_id as parent_status_id,
            in_reply_to_account_id as parent_account_id,
            quoted_status_id,
            {{ fediverse_handle("account_handle", "account_url") }} as account_handle,
            {{ clean_text("account_name") }} as account_name,
            {{ clean_text(html_text("content")) }} as status_text,
            md5(content) as text_hash,
            {{ clean_text("content_warning") }} as content_warning,
            language as declared_language,
            {{ only_language("language") }} as language,
            nullif(visibility, '') as visibility,
            url as status_url,
            account_url,
            mentions,
            tags,
            media_attachments,
            is_sensitive,
            is_bot,
            reblog_of_id is not null as is_boost,
            cast(created_at as timestamp) as published_at,
            cast(edited_at as timestamp) as edited_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from statuses
    )

select *
from final_cte
