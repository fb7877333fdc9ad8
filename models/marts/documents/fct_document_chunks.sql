with
    chunks as (select * from {{ ref("int_document_chunks__placed") }}),
    final_cte as (
        select
            chunk_id,
            document_id,
            chunk_text,
            language,
            page_number,
            start_offset,
            end_offset
        from chunks
    )

select *
from final_cte
