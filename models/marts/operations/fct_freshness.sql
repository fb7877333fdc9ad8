with
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    loads as (select * from {{ ref("fct_loads") }}),
    rejected_rows as (select * from {{ ref("fct_rejected_rows") }}),
    ranked_loads_cte as (
        select
            *,
            row_number() over (
                partition by source_system, stream
                order by finished_at desc, run_id desc
            ) as recency,
            row_number() over (
                partition by source_system, stream, load_status
                order by finished_at desc, run_id desc
            ) as recency_in_status
        from loads
    ),
    streams_cte as (
        select
            source_system,
            stream,
            max(case when recency = 1 then stream_kind end) as stream_kind,
            max(case when recency = 1 then load_status end) as last_status,
            max(case when recency = 1 then error end) as last_error,
            max(
                case
                    when load_status = 'complete' and recency_in_status = 1
                    then rows_read
                end
            ) as rows_read,
            cast(sum(rows_loaded) as bigint) as rows_loaded_total,
            max(
                case when load_status = 'complete' then finished_at end
            ) as last_success_at,
            max(finished_at) as last_load_at
        from ranked_loads_cte
        group by source_system, stream
    ),
    open_rows_cte as (
        select source_system, stream, count(*) as rejected_rows_open
        from rejected_rows
        where is_open
        group by source_system, stream
    ),
    final_cte as (
        select
            streams_cte.source_system,
            streams_cte.stream,
            streams_cte.stream_kind,
            streams_cte.last_status,
            streams_cte.last_error,
            streams_cte.rows_read,
            streams_cte.rows_loaded_total,
            coalesce(open_rows_cte.rejected_rows_open, 0) as rejected_rows_open,
            {{ dbt.datediff("streams_cte.last_success_at", "as_of.as_of_at", "hour") }}
            as hours_since_success,
            streams_cte.last_success_at,
            streams_cte.last_load_at,
            as_of.as_of_at
        from streams_cte
        left join
            open_rows_cte
            on streams_cte.source_system = open_rows_cte.source_system
            and streams_cte.stream = open_rows_cte.stream
        left join as_of on true
    )

select *
from final_cte
