-- Every mention is counted on its day, a scored one with one label; a mean is within
-- its interval, and that within the
-- scores there are; n is at least 1.
with
    mentions_cte as (
        select
            published_date,
            source_system,
            topic,
            count(*) as mention_count,
            count(sentiment_score) as scored_count
        from {{ ref("fct_social_mentions") }}
        group by published_date, source_system, topic
    )

select sentiment.sentiment_date, sentiment.source_system, sentiment.topic
from {{ ref("fct_sentiment_daily") }} as sentiment
full join
    mentions_cte
    on sentiment.sentiment_date = mentions_cte.published_date
    and sentiment.source_system = mentions_cte.source_system
    and sentiment.topic = mentions_cte.topic
where
    sentiment.mention_count is distinct from mentions_cte.mention_count
    or sentiment.scored_count is distinct from mentions_cte.scored_count
    or sentiment.scored_count
    <> sentiment.positive_count + sentiment.neutral_count + sentiment.negative_count
    or not sentiment.net_sentiment between -1 and 1
    or not sentiment.mean_score
    between coalesce(sentiment.mean_score_low, -1) and coalesce(
        sentiment.mean_score_high, 1
    )
    or sentiment.mean_score_low < -1
    or sentiment.mean_score_high > 1
    or sentiment.effective_posts < 0.999999
