with
    engagement as (select * from {{ ref("int_social_engagement__unioned") }}),
    posts as (select * from {{ ref("int_social_posts__unioned") }}),
    readings_cte as (
        select
            engagement.*,
            coalesce(engagement.like_count, 0)
            + coalesce(engagement.repost_count, 0)
            + coalesce(engagement.reply_count, 0)
            + coalesce(engagement.quote_count, 0) as engagement_count,
            (
                {{
                    microseconds_between(
                        "posts.published_at", "engagement.measured_at"
                    )
                }}
            )
            / 3600000000.0 as age_hours,
            row_number() over (
                partition by engagement.social_post_id
                order by
                    engagement.measured_at desc nulls last,
                    engagement.milestone nulls last
            ) as recency
        from engagement
        inner join posts on engagement.social_post_id = posts.social_post_id
    ),
    -- A figure of when it was twice as old says nothing about that age.
    ages_cte as (
        select
            social_post_id,
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
            ) as engagement_30_days_count
        from readings_cte
        group by social_post_id
    ),
    final_cte as (
        select
            readings_cte.social_post_id,
            readings_cte.like_count,
            readings_cte.repost_count,
            readings_cte.reply_count,
            readings_cte.quote_count,
            readings_cte.engagement_count,
            ages_cte.engagement_1_hour_count,
            ages_cte.engagement_1_day_count,
            ages_cte.engagement_7_days_count,
            ages_cte.engagement_30_days_count,
            readings_cte.measured_at
        from readings_cte
        inner join ages_cte on readings_cte.social_post_id = ages_cte.social_post_id
        where readings_cte.recency = 1
    )

select *
from final_cte
