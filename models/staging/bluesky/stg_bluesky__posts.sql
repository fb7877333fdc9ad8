with
    posts as ({{ current_state(source("bluesky", "posts")) }}),
    final_cte as (
        select
            uri as post_uri,
            cid as content_id,
            author_did,
            nullif(author_handle, 'handle.invalid') as author_handle,
            {{ clean_text("author_name") }} as author_name,
            {{ clean_text("post_text") }} as post_text,
            md5(post_text) as text_hash,
            langs as declared_languages,
            {{ only_language("langs") }} as language,
            reply_root_uri,
            reply_parent_uri,
            -- Of a post with pictures, the one that it quotes is a level below.
            coalesce(
                {{ json_text("embed", "$.record.uri") }},
                {{ json_text("embed", "$.record.record.uri") }}
            ) as quoted_uri,
            {{ json_text("embed", "$.external.uri") }} as link_url,
            facets,
            embed,
            tags,
            labels,
            cast(least(created_at, indexed_at) as timestamp) as published_at,
            cast(created_at as timestamp) as created_at,
            cast(indexed_at as timestamp) as indexed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from posts
    )

select *
from final_cte
