-- The lines summed to a reseller's order are in the order's currency.
select order_lines.reseller, order_lines.order_number, order_lines.line_number
from {{ ref("fct_orders") }} as orders
inner join
    {{ ref("stg_spreadsheets__order_lines") }} as order_lines
    on orders.source_order_id = order_lines.reseller || '/' || order_lines.order_number
where
    orders.source_system = 'spreadsheets'
    and orders.currency_code <> coalesce(order_lines.currency_code, 'none')
