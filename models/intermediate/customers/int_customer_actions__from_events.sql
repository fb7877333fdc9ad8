with
    events as (select * from {{ ref("stg_events__events") }}),
    final_cte as (
        select
            {{ source_key("events", "message_id") }} as action_id,
            cast(null as string) as customer_id,
            user_id,
            'events' as source_system,
            'visit' as action_kind,
            cast(null as string) as currency_code,
            cast(null as decimal(18, 4)) as amount,
            occurred_at,
            observed_at,
            built_in
        from events
        where user_id is not null and not is_bot
    )

select *
from final_cte
