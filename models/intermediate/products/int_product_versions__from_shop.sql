with
    product_versions as (select * from {{ ref("stg_shop__product_versions") }}),
    final_cte as (
        select
            {{ source_key("shop", "product_id") }} as product_id,
            'shop' as source_system,
            currency_code,
            unit_cost,
            is_gone,
            changed_at
        from product_versions
    )

select *
from final_cte
