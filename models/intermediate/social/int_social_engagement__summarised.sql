with
    engagement as (select * from {{ ref("int_social_engagement__unioned") }}),
    posts as (select * from {{ ref("int_social_posts__unioned") }}),
    totals_cte as (
        select
            engagement.*,
            coalesce(engagement.like_count, 0)
            + coalesce(engagement.repost_count, 0)
            + coalesce(engagement.reply_count, 0)
            + coalesce(engagement.quote_count, 0) as engagement_count,
            {{ microseconds_between("posts.published_at", "engagement.measured_at") }}
            / 3600000000.0 as age_hours
        from engagement
        inner join posts on engagement.social_post_id = posts.social_post_id
    ),
    final_cte as (
        select
            social_post_id,
            max_by(like_count, measured_at) as like_count,
            max_by(repost_count, measured_at) as repost_count,
            max_by(reply_count, measured_at) as reply_count,
            max_by(quote_count, measured_at) as quote_count,
            max_by(engagement_count, measured_at) as engagement_count,
            -- A figure of when it was twice as old says nothing about that age.
            max(engagement_count) filter (
                where milestone = '1h' and age_hours <= 2
            ) as engagement_1_hour_count,
            max(engagement_count) filter (
                where milestone = '24h' and age_hours <= 48
            ) as engagement_1_day_count,
            max(engagement_count) filter (
                where milestone = '7d' and age_hours <= 336
            ) as engagement_7_days_count,
            max(engagement_count) filter (
                where milestone = '30d' and age_hours <= 1440
            ) as engagement_30_days_count,
            max(measured_at) as measured_at
        from totals_cte
        group by social_post_id
    )

select *
from final_cte
