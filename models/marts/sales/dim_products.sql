with
    products as (select * from {{ ref("int_products__unioned") }}),
    final_cte as (
        select
            product_id,
            source_system,
            source_product_id,
            sku,
            product_name,
            category,
            currency_code,
            list_price,
            unit_cost,
            cast(list_price - unit_cost as decimal(18, 4)) as list_margin_amount,
            {{ ratio("list_price - unit_cost", "list_price") }} as list_margin_ratio,
            is_active
        from products
    )

select *
from final_cte
