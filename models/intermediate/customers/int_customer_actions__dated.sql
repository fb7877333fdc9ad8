with
    actions as (select * from {{ ref("int_customer_actions__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__sighted") }}),
    observed_cte as (
        select
            *,
            {{ business_day("occurred_at") }} as business_date,
            cast({{ local_time("observed_at") }} as date) as received_date
        from actions
    ),
    -- What a system's first day brought is its history: when that would have come,
    -- had we been there, nobody can tell.
    systems_cte as (
        select source_system, min(received_date) as first_received_date
        from observed_cte
        where customer_id is not null
        group by source_system
    ),
    -- An id that two systems have given is the account's of which it was known first.
    users_cte as (
        select
            *,
            row_number() over (
                partition by user_id
                order by observed_at nulls last, customer_id nulls last
            ) as sighting
        from observed_cte
        where customer_id is not null and user_id is not null
    ),
    owned_cte as (
        select
            action_id,
            customer_id,
            source_system,
            action_kind,
            currency_code,
            amount,
            business_date,
            received_date,
            built_in
        from observed_cte
        where customer_id is not null
        union all
        select
            observed_cte.action_id,
            users_cte.customer_id,
            users_cte.source_system,
            observed_cte.action_kind,
            observed_cte.currency_code,
            observed_cte.amount,
            observed_cte.business_date,
            greatest(
                observed_cte.received_date, users_cte.received_date
            ) as received_date,
            observed_cte.built_in || ' ' || users_cte.built_in as built_in
        from observed_cte
        inner join users_cte on observed_cte.user_id = users_cte.user_id
        where observed_cte.customer_id is null and users_cte.sighting = 1
    ),
    known_cte as (
        select
            owned_cte.*,
            case
                when owned_cte.received_date <= systems_cte.first_received_date
                then owned_cte.business_date
                else greatest(owned_cte.business_date, owned_cte.received_date)
            end as known_date,
            greatest(
                owned_cte.received_date, systems_cte.first_received_date
            ) as rated_date
        from owned_cte
        inner join systems_cte on owned_cte.source_system = systems_cte.source_system
    ),
    -- A rate may be used for so many days; of those that had come when the action did
    -- the newest one is.
    usable_rates_cte as (
        select
            *,
            {{
                day_rows(
                    "rate_date",
                    "cast("
                    ~ dbt.dateadd("day", var("max_rate_age_days") + 1, "rate_date")
                    ~ " as date)",
                )
            }} as used_date
        from exchange_rates
    ),
    rates_cte as (
        select
            known_cte.action_kind,
            known_cte.action_id,
            usable_rates_cte.rate_to_base,
            usable_rates_cte.built_in,
            row_number() over (
                partition by known_cte.action_kind, known_cte.action_id
                order by usable_rates_cte.rate_date desc
            ) as recency
        from known_cte
        inner join
            usable_rates_cte
            on known_cte.currency_code = usable_rates_cte.currency_code
            and known_cte.business_date = usable_rates_cte.used_date
            and known_cte.rated_date >= usable_rates_cte.observed_date
        where known_cte.currency_code <> '{{ var("base_currency") }}'
    ),
    newest_rates_cte as (select * from rates_cte where recency = 1),
    final_cte as (
        select
            known_cte.action_id,
            known_cte.customer_id,
            known_cte.source_system,
            known_cte.action_kind,
            {{
                in_base_currency(
                    "known_cte.amount",
                    rate_to_base("known_cte.currency_code", "newest_rates_cte"),
                )
            }} as amount_base,
            known_cte.business_date,
            known_cte.received_date,
            known_cte.known_date,
            known_cte.built_in
            || coalesce(' ' || newest_rates_cte.built_in, '') as built_in
        from known_cte
        left join
            newest_rates_cte
            on known_cte.action_kind = newest_rates_cte.action_kind
            and known_cte.action_id = newest_rates_cte.action_id
    )

select *
from final_cte
