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
            posts.post_text,
            posts.language,
            posts.topic,
            posts.post_url,
            engagement.like_count,
            engagement.repost_count,
            engagement.reply_count,
            engagement.quote_count,
            engagement.engagement_count,
            engagement.engagement_1_hour_count,
            engagement.engagement_1_day_count,
            engagement.engagement_7_days_count,
            engagement.engagement_30_days_count,
            posts.parent_social_post_id is not null as is_reply,
            cast({{ local_time("posts.published_at") }} as date) as published_date,
            posts.published_at,
            posts.edited_at,
            engagement.measured_at
        from posts
        left join engagement on posts.social_post_id = engagement.social_post_id
        where posts.relation = 'own'
    )

select *
from final_cte
