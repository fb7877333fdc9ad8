with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_social_posts__from_bluesky"),
                    ref("int_social_posts__from_mastodon"),
                ]
            )
        }}
    )

select *
from final_cte
