with
    buyers as (select * from {{ ref("int_order_buyers__unioned") }}),
    values_cte as (
        select
            order_id,
            source_system,
            'email' as identifier_type,
            email as identifier_value,
            ordered_at
        from buyers
        union all
        select
            order_id,
            source_system,
            'phone' as identifier_type,
            phone as identifier_value,
            ordered_at
        from buyers
    ),
    final_cte as (
        select
            'order' as record_type,
            order_id as record_id,
            identifier_type,
            identifier_value,
            source_system,
            false as is_held,
            {{ since_ever("ordered_at") }} as first_seen_at,
            {{ since_ever("ordered_at") }} as last_seen_at
        from values_cte
        where identifier_value is not null
    )

select *
from final_cte
