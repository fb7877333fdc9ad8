with
    enrichments as (select * from {{ ref("stg_enrichments__enrichments") }}),
    sentiments_cte as (
        select * from enrichments where method in ('text_sentiment', 'html_sentiment')
    ),
    -- The one that ran last had all texts; scores of two models are not compared.
    model_cte as (
        select max_by(method_version, observed_at) as method_version from sentiments_cte
    ),
    scored_cte as (
        select
            sentiments_cte.input_hash,
            sentiments_cte.method,
            cast(sentiments_cte.output as double) as sentiment_score,
            sentiments_cte.method_version as sentiment_model
        from sentiments_cte
        inner join model_cte on sentiments_cte.method_version = model_cte.method_version
        where sentiments_cte.output is not null
    ),
    final_cte as (
        select
            input_hash,
            method,
            sentiment_score,
            case
                when sentiment_score >= {{ var("sentiment_threshold") }}
                then 'positive'
                when sentiment_score <= -{{ var("sentiment_threshold") }}
                then 'negative'
                else 'neutral'
            end as sentiment,
            sentiment_model
        from scored_cte
    )

select *
from final_cte
