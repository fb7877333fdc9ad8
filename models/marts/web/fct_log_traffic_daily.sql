{{
    config(
        materialized="incremental",
        unique_key="log_traffic_id",
        pre_hook=[
            "{{ take_stock(ref('int_log_requests__classified'), 'built_in') }}",
            "{{ forget_changed(ref('int_log_requests__classified'), 'built_in', 'request_date', 'traffic_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    requests as (select * from {{ ref("int_log_requests__classified") }}),
    {% if is_incremental() %}
        new_requests as (
            select *
            from {{ new_rows(ref("int_log_requests__classified"), "built_in") }}
        ),
    {% endif %}
    -- Of a day that has new requests, all.
    days_cte as (
        select *
        from requests
        {% if is_incremental() %}
            where request_date in (select request_date from new_requests)
        {% endif %}
    ),
    final_cte as (
        select
            cast(request_date as string)
            || ' '
            || host
            || ' '
            || cast(is_bot as string) as log_traffic_id,
            host,
            count(*) as request_count,
            count(case when is_page then 1 end) as page_view_count,
            count(distinct case when is_page then client end) as visitor_count,
            count(
                case when status_code between 400 and 499 then 1 end
            ) as client_error_count,
            count(case when status_code >= 500 then 1 end) as server_error_count,
            cast(sum(coalesce(byte_count, 0)) as bigint) as byte_count,
            is_bot,
            request_date as traffic_date
        from days_cte
        group by request_date, host, is_bot
    )

select *
from final_cte
