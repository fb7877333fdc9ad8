with
    product_versions as (select * from {{ ref("stg_shop__product_versions") }}),
    -- A deleted product stays, as it last was: its orders still name it.
    latest_versions_cte as (
        select
            *,
            row_number() over (
                partition by product_id order by changed_at desc
            ) as recency
        from product_versions
        where not is_gone
    ),
    deleted_products_cte as (
        select product_id, max_by(is_gone, changed_at) as is_deleted
        from product_versions
        group by product_id
    ),
    final_cte as (
        select
            {{ source_key("shop", "latest_versions_cte.product_id") }} as product_id,
            'shop' as source_system,
            latest_versions_cte.product_id as source_product_id,
            latest_versions_cte.sku,
            latest_versions_cte.product_name,
            latest_versions_cte.category,
            latest_versions_cte.currency_code,
            latest_versions_cte.list_price,
            latest_versions_cte.unit_cost,
            latest_versions_cte.is_active
            and not deleted_products_cte.is_deleted as is_active
        from latest_versions_cte
        inner join
            deleted_products_cte
            on latest_versions_cte.product_id = deleted_products_cte.product_id
        where latest_versions_cte.recency = 1
    )

select *
from final_cte
