with
    accounts as ({{ current_state(source("mastodon", "accounts")) }}),
    final_cte as (
        select
            account_id,
            {{ fediverse_handle("handle", "url") }} as handle,
            {{ clean_text("display_name") }} as account_name,
            {{ clean_text(html_text("note")) }} as account_description,
            url as account_url,
            uri as account_uri,
            followers_count as follower_count,
            following_count,
            statuses_count as status_count,
            is_bot,
            is_locked,
            is_suspended,
            last_status_date,
            cast(created_at as timestamp) as created_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from accounts
    )

select *
from final_cte
