with
    spreadsheets as ({{ current_state(source("google_sheets", "spreadsheets")) }}),
    final_cte as (
        select
            spreadsheet_id,
            {{ clean_text("title") }} as title,
            time_zone,
            locale,
            sheets,
            version as version_number,
            cast(modified_at as timestamp) as modified_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from spreadsheets
    )

select *
from final_cte
