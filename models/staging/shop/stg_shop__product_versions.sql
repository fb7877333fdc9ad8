with
    products as ({{ state_versions(source("shop", "products"), "updated_at") }}),
    final_cte as (
        select
            cast(product_id as string) as product_id,
            {{ clean_text("sku") }} as sku,
            {{ clean_text("product_name") }} as product_name,
            {{ clean_text("category") }} as category,
            {{ currency_code("currency") }} as currency_code,
            list_price,
            unit_cost,
            weight_grams,
            is_active,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            _is_gone as is_gone,
            cast(_changed_at as timestamp) as changed_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from products
    )

select *
from final_cte
