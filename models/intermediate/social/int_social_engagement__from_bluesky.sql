with
    engagement as (select * from {{ ref("stg_bluesky__engagement") }}),
    final_cte as (
        select
            {{ source_key("bluesky", "post_uri") }} as social_post_id,
            'bluesky' as source_system,
            milestone,
            like_count,
            repost_count,
            reply_count,
            quote_count,
            measured_at
        from engagement
    )

select *
from final_cte
