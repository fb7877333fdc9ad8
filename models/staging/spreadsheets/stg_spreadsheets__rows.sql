with
    file_rows as ({{ current_snapshot(source("spreadsheets", "rows")) }}),
    final_cte as (
        select
            file_path,
            sheet as sheet_title,
            cells,
            error_cells,
            row_number,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from file_rows
    )

select *
from final_cte
