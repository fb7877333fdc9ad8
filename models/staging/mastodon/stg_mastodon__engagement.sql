with
    engagement as ({{ current_event(source("mastodon", "engagement")) }}),
    final_cte as (
        select
            status_id,
            milestone,
            favourites_count as favourite_count,
            reblogs_count as boost_count,
            replies_count as reply_count,
            quotes_count as quote_count,
            cast(created_at as timestamp) as published_at,
            cast(measured_at as timestamp) as measured_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from engagement
    )

select *
from final_cte
