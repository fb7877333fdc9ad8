with
    documents as (select * from {{ ref("stg_documents__documents") }}),
    files as (select * from {{ ref("stg_documents__files") }}),
    places as (select * from {{ ref("int_document_places__found") }}),
    placed_cte as (
        select
            document_id,
            min(file_path) as first_path,
            count(distinct file_path) as file_count,
            min(attachment_level) > 0 as is_attachment
        from places
        group by document_id
    ),
    -- What was never opened has no content by which it could be known.
    unread_cte as (
        select
            'file:' || md5(file_path) as document_id,
            file_path,
            file_status,
            status_reason
        from files
        where file_id is null
    ),
    final_cte as (
        select
            documents.document_id,
            documents.message_id,
            documents.answered_message_id,
            documents.document_format,
            documents.document_status,
            documents.status_reason,
            documents.title,
            documents.author,
            documents.language,
            documents.from_email,
            documents.to_addresses,
            documents.cc_addresses,
            placed_cte.first_path,
            placed_cte.file_count,
            documents.page_count,
            documents.character_count,
            placed_cte.is_attachment,
            documents.created_at,
            documents.sent_at
        from documents
        inner join placed_cte on documents.document_id = placed_cte.document_id
        union all
        select
            document_id,
            cast(null as string) as message_id,
            cast(null as string) as answered_message_id,
            cast(null as string) as document_format,
            file_status as document_status,
            status_reason,
            cast(null as string) as title,
            cast(null as string) as author,
            cast(null as string) as language,
            cast(null as string) as from_email,
            cast(null as string) as to_addresses,
            cast(null as string) as cc_addresses,
            file_path as first_path,
            1 as file_count,
            cast(null as bigint) as page_count,
            cast(null as bigint) as character_count,
            false as is_attachment,
            cast(null as timestamp) as created_at,
            cast(null as timestamp) as sent_at
        from unread_cte
    )

select *
from final_cte
