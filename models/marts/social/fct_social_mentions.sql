with
    posts as (select * from {{ ref("int_social_posts__classified") }}),
    engagement as (select * from {{ ref("int_social_engagement__summarised") }}),
    final_cte as (
        select
            posts.social_post_id,
            posts.parent_social_post_id,
            posts.source_system,
            posts.source_post_id,
            posts.source_author_id,
            posts.author_handle,
            posts.author_name,
            posts.relation,
            posts.post_text,
            posts.language,
            posts.topic,
            posts.sentiment,
            posts.sentiment_model,
            posts.post_url,
            posts.sentiment_score,
            engagement.like_count,
            engagement.repost_count,
            engagement.reply_count,
            engagement.quote_count,
            engagement.engagement_count,
            posts.is_bot,
            cast({{ local_time("posts.published_at") }} as date) as published_date,
            posts.published_at,
            posts.edited_at,
            engagement.measured_at
        from posts
        left join engagement on posts.social_post_id = engagement.social_post_id
        where posts.relation <> 'own'
    )

select *
from final_cte
