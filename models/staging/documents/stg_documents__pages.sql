with
    pages as ({{ current_snapshot(source("documents", "pages")) }}),
    final_cte as (
        select
            document_id,
            text as page_text,
            page_number,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from pages
    )

select *
from final_cte
