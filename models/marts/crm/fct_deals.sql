with
    deals as (select * from {{ ref("int_deals__unioned") }}),
    stage_intervals as (select * from {{ ref("int_deal_stage_changes__intervals") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    present_stages_cte as (select * from stage_intervals where left_at is null),
    staged_deals_cte as (
        select
            deals.deal_id,
            deals.company_id,
            deals.contact_id,
            coalesce(present_stages_cte.pipeline_id, deals.pipeline_id) as pipeline_id,
            present_stages_cte.stage_id,
            deals.source_system,
            deals.source_deal_id,
            deals.deal_name,
            deals.deal_type,
            present_stages_cte.pipeline_name,
            present_stages_cte.stage_name,
            deals.contact_email,
            deals.owner_name,
            deals.owner_email,
            deals.currency_code,
            deals.amount as deal_amount,
            present_stages_cte.stage_probability,
            coalesce(present_stages_cte.stage_outcome, 'open') = 'open' as is_open,
            coalesce(present_stages_cte.stage_outcome, 'open') = 'won' as is_won,
            coalesce(present_stages_cte.stage_outcome, 'open') = 'lost' as is_lost,
            deals.closed_at as told_closed_at,
            present_stages_cte.outcome_since_at,
            deals.created_at,
            deals.updated_at
        from deals
        left join present_stages_cte on deals.deal_id = present_stages_cte.deal_id
    ),
    closed_deals_cte as (
        select
            *,
            case
                when not is_open then coalesce(told_closed_at, outcome_since_at)
            end as closed_at,
            case when is_open then told_closed_at end as expected_close_at
        from staged_deals_cte
    ),
    dated_deals_cte as (
        select
            *,
            cast({{ local_time("created_at") }} as date) as created_date,
            cast({{ local_time("closed_at") }} as date) as closed_date
        from closed_deals_cte
    ),
    rated_deals_cte as (
        select
            dated_deals_cte.*,
            {{ rate_to_base("dated_deals_cte.currency_code", "exchange_rates") }}
            as rate_to_base
        from dated_deals_cte
        left join
            exchange_rates
            on dated_deals_cte.currency_code = exchange_rates.currency_code
            and coalesce(dated_deals_cte.closed_date, dated_deals_cte.created_date)
            = exchange_rates.rate_date
    ),
    final_cte as (
        select
            deal_id,
            company_id,
            contact_id,
            pipeline_id,
            stage_id,
            source_system,
            source_deal_id,
            deal_name,
            deal_type,
            pipeline_name,
            stage_name,
            contact_email,
            owner_name,
            owner_email,
            currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            deal_amount,
            {{ in_base_currency("deal_amount", "rate_to_base") }} as deal_amount_base,
            stage_probability,
            case
                -- Deals that were imported may have been created after their close.
                when is_won and closed_at >= created_at
                then
                    cast(
                        {{ microseconds_between("created_at", "closed_at") }} as double
                    )
                    / 86400000000
            end as sales_cycle_days,
            is_open,
            is_won,
            is_lost,
            deal_amount is not null and rate_to_base is null as is_rate_missing,
            created_date,
            closed_date,
            created_at,
            closed_at,
            expected_close_at,
            updated_at
        from rated_deals_cte
    )

select *
from final_cte
