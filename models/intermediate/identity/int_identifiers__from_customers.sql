with
    customers as (select * from {{ ref("int_customers__unioned") }}),
    customer_versions as (select * from {{ ref("int_customer_versions__unioned") }}),
    living_versions_cte as (
        select
            customer_versions.customer_id,
            customer_versions.source_system,
            customer_versions.email,
            customer_versions.phone,
            -- What the first version that we know says, it has said since it was there.
            case
                when
                    row_number() over (
                        partition by customer_versions.customer_id
                        order by customer_versions.changed_at nulls first
                    )
                    = 1
                then
                    least(
                        coalesce(customers.created_at, customer_versions.changed_at),
                        customer_versions.changed_at
                    )
                else customer_versions.changed_at
            end as seen_at
        from customer_versions
        inner join customers on customer_versions.customer_id = customers.customer_id
        where not customer_versions.is_gone
    ),
    -- Of systems that keep no versions, as they are.
    versions_cte as (
        select customer_id, source_system, email, phone, seen_at
        from living_versions_cte
        union all
        select
            customers.customer_id,
            customers.source_system,
            customers.email,
            customers.phone,
            customers.created_at as seen_at
        from customers
        left join
            living_versions_cte
            on customers.customer_id = living_versions_cte.customer_id
        where living_versions_cte.customer_id is null
    ),
    values_cte as (
        select
            customer_id,
            source_system,
            'email' as identifier_type,
            email as identifier_value,
            seen_at
        from versions_cte
        union all
        select
            customer_id,
            source_system,
            'phone' as identifier_type,
            phone as identifier_value,
            seen_at
        from versions_cte
    ),
    spans_cte as (
        {{
            spans(
                "values_cte",
                ["customer_id", "identifier_type"],
                "identifier_value",
                "seen_at",
            )
        }}
    ),
    final_cte as (
        select
            'customer' as record_type,
            customer_id as record_id,
            identifier_type,
            identifier_value,
            source_system,
            true as is_held,
            {{ since_ever("first_seen_at") }} as first_seen_at,
            last_seen_at
        from spans_cte
    )

select *
from final_cte
