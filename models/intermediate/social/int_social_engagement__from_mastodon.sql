with
    engagement as (select * from {{ ref("stg_mastodon__engagement") }}),
    final_cte as (
        select
            {{ source_key("mastodon", "status_id") }} as social_post_id,
            'mastodon' as source_system,
            milestone,
            favourite_count as like_count,
            boost_count as repost_count,
            reply_count,
            quote_count,
            measured_at
        from engagement
    )

select *
from final_cte
