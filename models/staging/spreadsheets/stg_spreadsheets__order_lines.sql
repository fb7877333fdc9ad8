with
    order_lines as ({{ current_event(source("spreadsheets", "order_lines")) }}),
    located_cte as (
        select *, {{ country_code("country") }} as country_code from order_lines
    ),
    final_cte as (
        select
            reseller,
            order_number,
            line_number,
            {{ clean_email("customer_email") }} as customer_email,
            {{ clean_text("customer_name") }} as customer_name,
            {{ clean_phone("customer_phone", "country_code") }} as customer_phone,
            country_code,
            {{ clean_text("sku") }} as sku,
            {{ clean_text("product_name") }} as product_name,
            coalesce({{ currency_code("currency") }}, 'XXX') as currency_code,
            quantity,
            unit_price,
            tax_amount,
            shipping_amount,
            ordered_on as order_date,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from located_cte
    )

select *
from final_cte
