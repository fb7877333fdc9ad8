with
    posts as (select * from {{ ref("int_social_posts__unioned") }}),
    sentiments as (select * from {{ ref("int_text_sentiments__scored") }}),
    topics as (select * from {{ ref("social_topics") }}),
    -- A text whose language is not known may be in any.
    patterns_cte as (
        select language as pattern_language, topic, priority, pattern
        from topics
        union all
        select 'any' as pattern_language, topic, priority, pattern
        from topics
    ),
    matches_cte as (
        select
            posts.social_post_id,
            patterns_cte.topic,
            row_number() over (
                partition by posts.social_post_id
                order by patterns_cte.priority nulls last, patterns_cte.topic nulls last
            ) as precedence
        from posts
        inner join
            patterns_cte
            on coalesce(posts.language, 'any') = patterns_cte.pattern_language
            and {{ matches_pattern("lower(posts.post_text)", "patterns_cte.pattern") }}
    ),
    topics_cte as (select social_post_id, topic from matches_cte where precedence = 1),
    final_cte as (
        select
            posts.*,
            coalesce(topics_cte.topic, 'other') as topic,
            sentiments.sentiment,
            sentiments.sentiment_model,
            sentiments.sentiment_score
        from posts
        left join topics_cte on posts.social_post_id = topics_cte.social_post_id
        left join
            sentiments
            on posts.text_hash = sentiments.input_hash
            and posts.sentiment_method = sentiments.method
    )

select *
from final_cte
