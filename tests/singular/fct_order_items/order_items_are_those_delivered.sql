-- Every line of every system arrives; one whose order is missing does not get lost in
-- silence.
select order_items.order_item_id, order_items.order_id
from {{ ref("int_order_items__unioned") }} as order_items
left join
    {{ ref("fct_order_items") }} as fct_order_items
    on order_items.order_item_id = fct_order_items.order_item_id
where fct_order_items.order_item_id is null
