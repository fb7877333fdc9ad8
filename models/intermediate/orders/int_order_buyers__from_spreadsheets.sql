with
    order_lines as (select * from {{ ref("stg_spreadsheets__order_lines") }}),
    -- Every line of an order names its buyer: the first one that does.
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by reseller, order_number
                order by
                    case
                        when customer_email is null and customer_name is null
                        then 0
                        else 1
                    end desc,
                    line_number nulls last
            ) as recency
        from order_lines
    ),
    final_cte as (
        select
            {{ source_key("spreadsheets", "reseller || '/' || order_number") }}
            as order_id,
            'spreadsheets' as source_system,
            customer_email as email,
            customer_phone as phone,
            customer_name as full_name,
            cast(null as string) as street_line,
            cast(null as string) as postal_code,
            cast(null as string) as city,
            country_code,
            cast(order_date as timestamp) as ordered_at
        from ranked_cte
        where recency = 1
    )

select *
from final_cte
