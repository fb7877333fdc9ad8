with
    lists as ({{ current_state(source("mailchimp", "lists")) }}),
    final_cte as (
        select
            list_id,
            {{ clean_text("list_name") }} as list_name,
            nullif(stats, '') as stats,
            member_count,
            unsubscribe_count,
            cleaned_count,
            campaign_count,
            open_rate,
            click_rate,
            cast(created_at as timestamp) as created_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from lists
    )

select *
from final_cte
