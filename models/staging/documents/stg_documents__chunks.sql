with
    chunks as ({{ current_snapshot(source("documents", "chunks")) }}),
    final_cte as (
        select
            chunk_id,
            document_id,
            text as chunk_text,
            page_number,
            start_offset,
            end_offset,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from chunks
    )

select *
from final_cte
