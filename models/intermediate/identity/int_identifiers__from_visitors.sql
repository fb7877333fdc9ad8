with
    web_sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    customers as (select * from {{ ref("int_customers__unioned") }}),
    orders as (select * from {{ ref("int_orders__unioned") }}),
    customer_numbers_cte as (
        {{ unshared("customers", "source_customer_id", ["customer_id"]) }}
    ),
    order_numbers_cte as (
        {{ unshared("orders", "source_order_id", ["order_id", "customer_id"]) }}
    ),
    owners_cte as (
        select
            web_sessions.visitor_id,
            split_part(web_sessions.visitor_id, ':', 1) as source_system,
            case
                when
                    customer_numbers_cte.customer_id is not null
                    or (
                        web_sessions.user_id is null
                        and order_numbers_cte.customer_id is not null
                    )
                then 'customer'
                when web_sessions.user_id is not null
                then 'user'
                when order_numbers_cte.order_id is not null
                then 'order'
            end as owner_type,
            coalesce(
                customer_numbers_cte.customer_id,
                web_sessions.user_id,
                order_numbers_cte.customer_id,
                order_numbers_cte.order_id
            ) as owner_id,
            web_sessions.started_at
        from web_sessions
        left join
            customer_numbers_cte
            on web_sessions.user_id = customer_numbers_cte.source_customer_id
        left join
            order_numbers_cte
            on web_sessions.order_id = order_numbers_cte.source_order_id
    ),
    known_owners_cte as (
        select *, owner_type || ' ' || owner_id as owner_name
        from owners_cte
        where owner_id is not null
    ),
    -- A browser is one user's until another one signs in there.
    spans_cte as (
        {{ spans("known_owners_cte", ["visitor_id"], "owner_name", "started_at") }}
    ),
    final_cte as (
        select
            owner_type as record_type,
            owner_id as record_id,
            'visitor' as identifier_type,
            visitor_id as identifier_value,
            source_system,
            true as is_held,
            first_seen_at,
            last_seen_at
        from spans_cte
    )

select *
from final_cte
