-- Every post of the networks is one of ours or one of others, and never both.
with
    marts_cte as (
        select social_post_id
        from {{ ref("fct_social_posts") }}
        union all
        select social_post_id
        from {{ ref("fct_social_mentions") }}
    )

select posts.social_post_id
from {{ ref("int_social_posts__unioned") }} as posts
left join marts_cte on posts.social_post_id = marts_cte.social_post_id
group by posts.social_post_id
having count(marts_cte.social_post_id) <> 1
