with
    chunks as (select * from {{ ref("stg_documents__chunks") }}),
    documents as (select * from {{ ref("int_documents__placed") }}),
    final_cte as (
        select
            chunks.chunk_id,
            chunks.document_id,
            chunks.chunk_text,
            documents.language,
            chunks.page_number,
            chunks.start_offset,
            chunks.end_offset
        from chunks
        inner join documents on chunks.document_id = documents.document_id
    )

select *
from final_cte
