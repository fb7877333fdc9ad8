with
    claims as ({{ current_snapshot(source("spreadsheets", "claims")) }}),
    final_cte as (
        select
            file_path,
            sheet as sheet_title,
            {{ clean_text("claim_number") }} as claim_number,
            {{ clean_text("device_id") }} as device_id,
            {{ clean_email("customer_email") }} as customer_email,
            {{ clean_text("order_number") }} as order_number,
            {{ clean_text("description") }} as claim_description,
            lower({{ clean_text("status") }}) as claim_status,
            {{ currency_code("currency") }} as currency_code,
            row_number,
            amount as claim_amount,
            opened_on as opened_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from claims
    )

select *
from final_cte
