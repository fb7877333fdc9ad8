with
    accounts as ({{ current_state(source("bluesky", "accounts")) }}),
    final_cte as (
        select
            did as account_did,
            handle,
            {{ clean_text("display_name") }} as account_name,
            {{ clean_text("description") }} as account_description,
            followers_count as follower_count,
            follows_count as following_count,
            posts_count as post_count,
            cast(created_at as timestamp) as created_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from accounts
    )

select *
from final_cte
