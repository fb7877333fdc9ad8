{{
    config(
        materialized="incremental",
        unique_key="request_id",
        pre_hook=[
            "{{ take_stock(source('access_logs', 'requests'), '_dlt_load_id') }}",
            "{{ forget_later_sightings(source('access_logs', 'requests'), 'request_id') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    requests as (
        {{
            current_event(
                unsighted_rows(source("access_logs", "requests"), "request_id")
            )
        }}
    ),
    final_cte as (
        select
            _key as request_id,
            log_id,
            lower(host) as host,
            remote_ip as remote_network,
            remote_user,
            request as request_text,
            method as request_method,
            path as request_path,
            query as request_query,
            protocol,
            referrer,
            user_agent,
            line_start,
            status as status_code,
            byte_count,
            duration_seconds,
            {{ is_bot("user_agent") }} as is_bot,
            cast(requested_at as timestamp) as requested_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id,
            {{ built_in() }} as built_in
        from requests
    )

select *
from final_cte
