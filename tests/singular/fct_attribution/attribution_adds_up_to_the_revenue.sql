-- By every model the credits of a sale are its net revenue to the last digit, none of
-- another sign, and the shares are 1; and every sale is there.
with
    models as ({{ attribution_models() }}),
    revenues as (
        select order_id, sum(net_amount_base - refunded_amount_base) as amount_base
        from {{ ref("fct_order_items") }}
        group by order_id
    ),
    expected as (
        select orders.order_id, models.attribution_model, revenues.amount_base
        from {{ ref("fct_orders") }} as orders
        cross join models
        left join revenues on orders.order_id = revenues.order_id
        where orders.is_sale
    ),
    found as (
        select
            order_id,
            attribution_model,
            sum(credited_revenue_amount_base) as amount_base,
            min(credited_revenue_amount_base) as least_amount_base,
            max(credited_revenue_amount_base) as greatest_amount_base,
            sum(credit_share) as credit_share,
            min(credit_share) as least_share
        from {{ ref("fct_attribution") }}
        group by order_id, attribution_model
    )

select *
from expected
full join
    found
    on expected.order_id = found.order_id
    and expected.attribution_model = found.attribution_model
where
    expected.order_id is null
    or found.order_id is null
    or coalesce(expected.amount_base, 0) <> coalesce(found.amount_base, 0)
    or (found.least_amount_base < 0 and found.greatest_amount_base > 0)
    or (found.least_amount_base < 0 and expected.amount_base >= 0)
    or found.least_share < 0
    or abs(found.credit_share - 1) > 0.000000001
