with
    readings as (select * from {{ ref("int_device_readings__unioned") }}),
    customers as (select * from {{ ref("int_customers__unioned") }}),
    customer_numbers_cte as (
        {{ unshared("customers", "source_customer_id", ["customer_id"]) }}
    ),
    owners_cte as (
        select
            device_id,
            source_system,
            nullif(
                {{ regex_extract("reading_text", var("device_owner_pattern")) }}, ''
            ) as source_customer_id,
            received_at
        from readings
        where metric = '{{ var("device_owner_metric") }}'
    ),
    -- Of what came at one moment, one.
    moments_cte as (
        select
            device_id,
            max(source_system) as source_system,
            max(source_customer_id) as source_customer_id,
            received_at
        from owners_cte
        group by device_id, received_at
    ),
    spans_cte as (
        {{ spans("moments_cte", ["device_id"], "source_customer_id", "received_at") }}
    ),
    final_cte as (
        select
            case
                when customer_numbers_cte.customer_id is null
                then 'user'
                else 'customer'
            end as record_type,
            coalesce(
                customer_numbers_cte.customer_id, spans_cte.source_customer_id
            ) as record_id,
            'device' as identifier_type,
            spans_cte.device_id as identifier_value,
            spans_cte.source_system,
            true as is_held,
            spans_cte.first_seen_at,
            spans_cte.last_seen_at
        from spans_cte
        left join
            customer_numbers_cte
            on spans_cte.source_customer_id = customer_numbers_cte.source_customer_id
    )

select *
from final_cte
