with
    mentions as (select * from {{ ref("fct_social_mentions") }}),
    -- Whole numbers, so that their sums do not depend on the order of the rows.
    weights_cte as (
        select
            *,
            cast(
                round(1000 * ln(1 + coalesce(engagement_count, 0))) as bigint
            ) as post_weight,
            cast(round(10000 * sentiment_score) as bigint) as post_score
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
            count_if(sentiment = 'positive') as positive_count,
            count_if(sentiment = 'neutral') as neutral_count,
            count_if(sentiment = 'negative') as negative_count,
            cast(
                coalesce(
                    sum(case when sentiment is not null then post_weight end), 0
                ) as double
            ) as weight_sum,
            cast(coalesce(sum(post_weight * post_score), 0) as double) as score_sum,
            cast(
                coalesce(sum(post_weight * post_score * post_score), 0) as double
            ) as square_sum,
            cast(
                coalesce(
                    sum(
                        case
                            when sentiment is not null then post_weight * post_weight
                        end
                    ),
                    0
                ) as double
            ) as weight_square_sum,
            -- How much more a post of that day weighs than one of 2020.
            power(
                2,
                cast(
                    {{
                        dbt.datediff(
                            "cast('2020-01-01' as date)", "published_date", "day"
                        )
                    }} as double
                )
                / {{ var("sentiment_half_life_days") }}
            ) as day_weight
        from weights_cte
        group by published_date, source_system, topic
    ),
    -- All weights fade alike, so the growing sums stand in the same relation as the
    -- fading ones.
    running_cte as (
        select
            *,
            sum(day_weight * weight_sum) over (
                partition by source_system, topic
                order by sentiment_date nulls last
                rows between unbounded preceding and current row
            ) as weights,
            sum(day_weight * score_sum) over (
                partition by source_system, topic
                order by sentiment_date nulls last
                rows between unbounded preceding and current row
            ) as scores,
            sum(day_weight * square_sum) over (
                partition by source_system, topic
                order by sentiment_date nulls last
                rows between unbounded preceding and current row
            ) as squares,
            sum(day_weight * day_weight * weight_square_sum) over (
                partition by source_system, topic
                order by sentiment_date nulls last
                rows between unbounded preceding and current row
            ) as weight_squares
        from daily_cte
    ),
    means_cte as (
        select
            *,
            {{ ratio("scores", "weights") }} / 10000 as mean_score,
            {{ ratio("squares", "weights") }} / 100000000 as mean_square,
            {{ ratio("weights * weights", "weight_squares") }} as effective_count
        from running_cte
    ),
    margins_cte as (
        select
            *,
            case
                when effective_count >= 2
                then
                    1.96 * sqrt(
                        greatest(mean_square - mean_score * mean_score, 0)
                        / (effective_count - 1)
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
            cast(positive_count as bigint) as positive_count,
            cast(neutral_count as bigint) as neutral_count,
            cast(negative_count as bigint) as negative_count,
            {{ ratio("positive_count - negative_count", "scored_count") }}
            as net_sentiment,
            round(mean_score, 6) as mean_score,
            round(greatest(mean_score - margin, -1), 6) as mean_score_low,
            round(least(mean_score + margin, 1), 6) as mean_score_high,
            round(effective_count, 6) as effective_posts,
            sentiment_date
        from margins_cte
    )

select *
from final_cte
