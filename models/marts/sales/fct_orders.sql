with
    orders as (select * from {{ ref("int_orders__unioned") }}),
    order_items as (select * from {{ ref("int_order_items__unioned") }}),
    payments as (select * from {{ ref("int_payments__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    item_counts_cte as (
        select order_id, count(*) as item_count from order_items group by order_id
    ),
    payment_totals_cte as (
        select
            order_id,
            sum(
                case when payment_status = 'captured' then amount else 0 end
            ) as paid_amount,
            sum(
                case when transaction_type = 'refund' then amount else 0 end
            ) as refunded_amount
        from payments
        group by order_id
    ),
    rated_orders_cte as (
        select
            orders.*,
            persons.person_id,
            coalesce(item_counts_cte.item_count, 0) as item_count,
            coalesce(payment_totals_cte.paid_amount, 0) as paid_amount,
            coalesce(payment_totals_cte.refunded_amount, 0) as refunded_amount,
            {{ rate_to_base("orders.currency_code", "exchange_rates") }} as rate_to_base
        from orders
        left join item_counts_cte on orders.order_id = item_counts_cte.order_id
        left join payment_totals_cte on orders.order_id = payment_totals_cte.order_id
        left join
            exchange_rates
            on orders.currency_code = exchange_rates.currency_code
            and orders.order_date = exchange_rates.rate_date
        left join
            persons
            on
            {{
                is_person_at(
                    "persons",
                    "case when orders.customer_id is null then 'order' else 'customer' end",
                    "coalesce(orders.customer_id, orders.order_id)",
                    moment("orders.ordered_at", "orders.order_date"),
                )
            }}
    ),
    final_cte as (
        select
            order_id,
            customer_id,
            person_id,
            source_system,
            source_order_id,
            order_number,
            order_status,
            sales_channel,
            reseller,
            currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            country_code,
            item_count,
            items_amount,
            discount_amount,
            shipping_amount,
            tax_amount,
            order_amount,
            cast(paid_amount as decimal(18, 4)) as paid_amount,
            cast(refunded_amount as decimal(18, 4)) as refunded_amount,
            {% for amount in [
                "items_amount",
                "discount_amount",
                "shipping_amount",
                "tax_amount",
                "order_amount",
                "paid_amount",
                "refunded_amount",
            ] %}
                {{ in_base_currency(amount, "rate_to_base") }} as {{ amount }}_base,
            {% endfor %}
            order_status in ('paid', 'shipped', 'delivered') as is_sale,
            rate_to_base is null as is_rate_missing,
            order_date,
            ordered_at
        from rated_orders_cte
    )

select *
from final_cte
