with
    attachments as ({{ current_snapshot(source("documents", "attachments")) }}),
    final_cte as (
        select
            document_id,
            attachment_id,
            {{ clean_text("name") }} as attachment_name,
            media_type,
            number as attachment_number,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from attachments
    )

select *
from final_cte
