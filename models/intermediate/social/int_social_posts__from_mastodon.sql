with
    statuses as (select * from {{ ref("stg_mastodon__statuses") }}),
    accounts as (select * from {{ ref("stg_mastodon__accounts") }}),
    written_cte as (select * from statuses where not is_boost),
    mentions_cte as (
        select status_id, {{ split_rows("mentions", '"id":"') }} as from_id_on
        from written_cte
    ),
    mentioning_cte as (
        select distinct mentions_cte.status_id
        from mentions_cte
        inner join
            accounts
            on split_part(mentions_cte.from_id_on, '"', 1) = accounts.account_id
    ),
    -- What answers an answer to us belongs to our thread, even if it does not mention
    -- us.
    related_cte as (
        select
            written_cte.*,
            case
                when authors.account_id is not null
                then 'own'
                when
                    parent_authors.account_id is not null
                    or grandparent_authors.account_id is not null
                then 'reply'
                when mentioning_cte.status_id is not null
                then 'mention'
                when quoted_authors.account_id is not null
                then 'quote'
                else 'search'
            end as relation
        from written_cte
        left join accounts as authors on written_cte.account_id = authors.account_id
        left join
            accounts as parent_authors
            on written_cte.parent_account_id = parent_authors.account_id
        left join
            statuses as parents on written_cte.parent_status_id = parents.status_id
        left join
            accounts as grandparent_authors
            on parents.parent_account_id = grandparent_authors.account_id
        left join mentioning_cte on written_cte.status_id = mentioning_cte.status_id
        left join statuses as quoted on written_cte.quoted_status_id = quoted.status_id
        left join
            accounts as quoted_authors on quoted.account_id = quoted_authors.account_id
    ),
    final_cte as (
        select
            {{ source_key("mastodon", "status_id") }} as social_post_id,
            {{ source_key("mastodon", "parent_status_id") }} as parent_social_post_id,
            'mastodon' as source_system,
            status_id as source_post_id,
            account_id as source_author_id,
            account_handle as author_handle,
            account_name as author_name,
            relation,
            status_text as post_text,
            text_hash,
            case
                when {{ is_english("declared_language") }} then 'html_sentiment'
            end as sentiment_method,
            language,
            coalesce(status_url, status_uri) as post_url,
            is_bot,
            published_at,
            edited_at
        from related_cte
    )

select *
from final_cte
