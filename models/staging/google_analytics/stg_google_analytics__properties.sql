with
    properties as ({{ current_state(source("google_analytics", "properties")) }}),
    final_cte as (
        select
            property_id,
            time_zone,
            {{ currency_code("currency") }} as currency_code,
            tokens_left_of_day as tokens_left_of_day_count,
            tokens_left_of_hour as tokens_left_of_hour_count,
            project_tokens_left_of_hour as project_tokens_left_of_hour_count,
            requests_left_at_once as requests_left_at_once_count,
            server_errors_left_of_hour as server_errors_left_of_hour_count,
            thresholded_requests_left_of_hour
            as thresholded_requests_left_of_hour_count,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from properties
    )

select *
from final_cte
