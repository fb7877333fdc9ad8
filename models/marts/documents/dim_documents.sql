with
    documents as (select * from {{ ref("int_documents__placed") }}),
    final_cte as (
        select
            document_id,
            message_id,
            answered_message_id,
            document_format,
            document_status,
            status_reason,
            title,
            author,
            language,
            from_email,
            to_addresses,
            cc_addresses,
            first_path,
            file_count,
            page_count,
            character_count,
            is_attachment,
            created_at,
            sent_at
        from documents
    )

select *
from final_cte
