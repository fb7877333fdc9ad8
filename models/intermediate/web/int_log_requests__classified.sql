with
    requests as (select * from {{ ref("stg_access_logs__requests") }}),
    final_cte as (
        select
            request_id,
            coalesce(host, '(unknown)') as host,
            remote_network || ' ' || coalesce(user_agent, '') as client,
            request_path,
            status_code,
            byte_count,
            is_bot,
            -- What a person sees as a page: not the pictures, scripts and data on it.
            coalesce(
                request_method = 'GET'
                and (status_code between 200 and 299 or status_code = 304)
                and not
                {{
                    matches(
                        "lower(request_path)",
                        "[.](js|mjs|css|map|json|xml|txt|png|jpe?g|gif|svg|webp|avif|ico|bmp|woff2?|ttf|otf|eot|mp4|webm|mp3|ogg|pdf|zip|gz|wasm|webmanifest)$",
                    )
                }},
                false
            ) as is_page,
            cast({{ local_time("requested_at") }} as date) as request_date,
            requested_at,
            built_in
        from requests
    )

select *
from final_cte
