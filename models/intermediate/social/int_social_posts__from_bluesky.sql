with
    posts as (select * from {{ ref("stg_bluesky__posts") }}),
    accounts as (select * from {{ ref("stg_bluesky__accounts") }}),
    mentions_cte as (
        select post_uri, {{ split_rows("facets", '"did":"') }} as from_did_on from posts
    ),
    mentioning_cte as (
        select distinct mentions_cte.post_uri
        from mentions_cte
        inner join
            accounts
            on split_part(mentions_cte.from_did_on, '"', 1) = accounts.account_did
    ),
    -- at://did/collection/key
    related_cte as (
        select
            posts.*,
            case
                when authors.account_did is not null
                then 'own'
                when parents.account_did is not null or roots.account_did is not null
                then 'reply'
                when mentioning_cte.post_uri is not null
                then 'mention'
                when quoted.account_did is not null
                then 'quote'
                else 'search'
            end as relation
        from posts
        left join accounts as authors on posts.author_did = authors.account_did
        left join
            accounts as parents
            on split_part(posts.reply_parent_uri, '/', 3) = parents.account_did
        left join
            accounts as roots
            on split_part(posts.reply_root_uri, '/', 3) = roots.account_did
        left join mentioning_cte on posts.post_uri = mentioning_cte.post_uri
        left join
            accounts as quoted
            on split_part(posts.quoted_uri, '/', 3) = quoted.account_did
    ),
    final_cte as (
        select
            {{ source_key("bluesky", "post_uri") }} as social_post_id,
            {{ source_key("bluesky", "reply_parent_uri") }} as parent_social_post_id,
            'bluesky' as source_system,
            post_uri as source_post_id,
            author_did as source_author_id,
            author_handle,
            author_name,
            relation,
            post_text,
            text_hash,
            case
                when {{ is_english("declared_languages") }} then 'text_sentiment'
            end as sentiment_method,
            language,
            'https://bsky.app/profile/'
            || author_did
            || '/post/'
            || split_part(post_uri, '/', 5) as post_url,
            cast(null as boolean) as is_bot,
            published_at,
            cast(null as timestamp) as edited_at
        from related_cte
    )

select *
from final_cte
