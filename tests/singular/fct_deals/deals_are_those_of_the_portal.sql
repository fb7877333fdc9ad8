-- HubSpot's deals are all there and nothing else of theirs is: count and sum per
-- currency.
with
    expected_cte as (
        select
            currency_code,
            count(*) as deal_count,
            cast(sum(amount) as decimal(38, 4)) as deal_amount
        from {{ ref("stg_hubspot__deals") }}
        group by currency_code
    ),
    actual_cte as (
        select
            currency_code,
            count(*) as deal_count,
            cast(sum(deal_amount) as decimal(38, 4)) as deal_amount
        from {{ ref("fct_deals") }}
        where source_system = 'hubspot'
        group by currency_code
    )

    {{ differing_rows() }}
