with
    order_lines as (select * from {{ ref("stg_spreadsheets__order_lines") }}),
    -- All lines of an order are in one currency, which a test on fct_orders holds.
    order_totals_cte as (
        select
            reseller,
            order_number,
            min(currency_code) as currency_code,
            min(country_code) as country_code,
            sum(quantity * unit_price) as items_amount,
            sum(shipping_amount) as shipping_amount,
            sum(tax_amount) as tax_amount,
            min(order_date) as order_date
        from order_lines
        group by reseller, order_number
    ),
    final_cte as (
        select
            {{ source_key("spreadsheets", "reseller || '/' || order_number") }}
            as order_id,
            -- A reseller's buyer has no account with us. Who it may be is for
            -- identity resolution to say.
            cast(null as string) as customer_id,
            'spreadsheets' as source_system,
            reseller || '/' || order_number as source_order_id,
            order_number,
            'delivered' as order_status,
            'reseller' as sales_channel,
            reseller,
            currency_code,
            country_code,
            items_amount,
            0 as discount_amount,
            shipping_amount,
            tax_amount,
            items_amount + shipping_amount + tax_amount as order_amount,
            order_date,
            cast(null as timestamp) as ordered_at
        from order_totals_cte
    )

select *
from final_cte
