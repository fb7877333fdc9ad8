with
    engagement as ({{ current_event(source("bluesky", "engagement")) }}),
    final_cte as (
        select
            uri as post_uri,
            milestone,
            like_count,
            repost_count,
            reply_count,
            quote_count,
            cast(published_at as timestamp) as published_at,
            cast(measured_at as timestamp) as measured_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from engagement
    )

select *
from final_cte
