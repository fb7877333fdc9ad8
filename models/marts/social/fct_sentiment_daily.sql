with
    mentions as (select * from {{ ref("fct_social_mentions") }}),
    -- Whole numbers, so that their sums do not depend on the order of the rows.
    weights_cte as (
        select
            *,
            case
                when sentiment is null
                then 0
                else cast(round(1000 * ln(1 + coalesce(engagement_count, 0))) as bigint)
            end as weight,
            cast(round(10000 * coalesce(sentiment_score, 0)) as bigint) as score
        from mentions
    ),
    daily_cte as (
        select
            published_date as sentiment_date,
            source_system,
            topic,
            max(sentiment_model) as sentiment_model,
            count(*) as mention_count,
            count(sentiment) as scored_count,
            count(*) filter (where sentiment = 'positive') as positive_count,
            count(*) filter (where sentiment = 'neutral') as neutral_count,
            count(*) filter (where sentiment = 'negative') as negative_count,
            cast(sum(weight) as double) as weight_sum,
            cast(sum(weight * score) as double) as score_sum,
            cast(sum(weight * score * score) as double) as score_square_sum,
            cast(sum(weight * weight) as double) as weight_square_sum
        from weights_cte
        group by published_date, source_system, topic
    ),
    -- How much a mention of this day weighs on the newest day. As all weights fade
    -- alike,
    -- the means of earlier days are right as well.
    faded_cte as (
        select
            *,
            power(
                2,
                -
                {{
                    ratio(
                        dbt.datediff(
                            "sentiment_date",
                            "max(sentiment_date) over (partition by source_system, topic)",
                            "day",
                        ),
                        var("sentiment_half_life_days"),
                    )
                }}
            ) as day_weight
        from daily_cte
    ),
    running_cte as (
        select
            *,
            sum(day_weight * weight_sum) over running as weights,
            sum(day_weight * score_sum) over running as scores,
            sum(day_weight * score_square_sum) over running as score_squares,
            sum(day_weight * day_weight * weight_square_sum) over running
            as weight_squares
        from faded_cte
        window
            running as (
                partition by source_system, topic
                order by sentiment_date nulls last
                rows between unbounded preceding and current row
            )
    ),
    means_cte as (
        select
            *,
            {{ ratio("scores", "weights") }} / 10000 as mean_score,
            {{ ratio("score_squares", "weights") }} / 100000000 as mean_square,
            {{ ratio("weights * weights", "weight_squares") }} as effective_posts
        from running_cte
    ),
    margins_cte as (
        select
            *,
            case
                when effective_posts >= 2
                then
                    1.96 * sqrt(
                        {{
                            ratio(
                                "greatest(mean_square - mean_score * mean_score, 0)",
                                "effective_posts - 1",
                            )
                        }}
                    )
            end as margin
        from means_cte
    ),
    final_cte as (
        select
            source_system,
            topic,
            sentiment_model,
            mention_count,
            scored_count,
            positive_count,
            neutral_count,
            negative_count,
            {{ ratio("positive_count - negative_count", "scored_count") }}
            as net_sentiment,
            round(mean_score, 6) as mean_score,
            case
                when margin is not null then round(greatest(mean_score - margin, -1), 6)
            end as mean_score_low,
            case
                when margin is not null then round(least(mean_score + margin, 1), 6)
            end as mean_score_high,
            round(effective_posts, 6) as effective_posts,
            sentiment_date
        from margins_cte
    )

select *
from final_cte
