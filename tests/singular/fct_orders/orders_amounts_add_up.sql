-- What is payable is what the order consists of, to the last digit.
select order_id, order_amount
from {{ ref("fct_orders") }}
where order_amount <> items_amount + tax_amount + shipping_amount - discount_amount
