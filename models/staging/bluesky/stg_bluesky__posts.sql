with
    posts as ({{ current_state(source("bluesky", "posts")) }}),
    -- Of a post with pictures, what it embeds is a level below.
    embedded_cte as (
        select
            *,
            coalesce(
                {{ json_text("embed", "$.record.uri") }},
                {{ json_text("embed", "$.record.record.uri") }}
            ) as embedded_uri
        from posts
    ),
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
            -- Feeds, lists and starter packs can be embedded as well.
            case
                when split_part(embedded_uri, '/', 4) = 'app.bsky.feed.post'
                then embedded_uri
            end as quoted_uri,
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
        from embedded_cte
    )

select *
from final_cte
