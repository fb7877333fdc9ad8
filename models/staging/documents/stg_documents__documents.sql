with
    documents as ({{ current_state(source("documents", "documents")) }}),
    final_cte as (
        select
            document_id,
            message_id,
            in_reply_to as answered_message_id,
            reference_ids,
            format as document_format,
            status as document_status,
            reason as status_reason,
            {{ clean_text("title") }} as title,
            {{ clean_text("author") }} as author,
            language,
            {{ clean_email("from_address") }} as from_email,
            to_addresses,
            cc_addresses,
            {{ clean_text("subject") }} as subject,
            page_count,
            character_count,
            cast(created_at as timestamp) as created_at,
            cast(sent_at as timestamp) as sent_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from documents
    )

select *
from final_cte
