-- Over all months each model has credited what fct_attribution has, and beside it is
-- all that was spent.
with
    models as ({{ attribution_models() }}),
    credits as (
        select
            attribution_model,
            sum(credited_revenue_amount_base) as amount_base,
            count(distinct order_id) as sale_count
        from {{ ref("fct_attribution") }}
        group by attribution_model
    ),
    budgets as (
        select
            sum(
                {{
                    in_base_currency(
                        "budgets.spent_amount",
                        rate_to_base("budgets.currency_code", "exchange_rates"),
                    )
                }}
            ) as amount_base
        from {{ ref("int_marketing_budgets__unioned") }} as budgets
        left join
            {{ ref("int_exchange_rates__daily") }} as exchange_rates
            on budgets.currency_code = exchange_rates.currency_code
            and budgets.budget_month = exchange_rates.rate_date
    ),
    returns as (
        select
            attribution_model,
            sum(credited_revenue_amount_base) as amount_base,
            sum(spent_amount_base) as spent_amount_base,
            sum(credited_conversions) as credited_conversions
        from {{ ref("fct_marketing_returns_monthly") }}
        group by attribution_model
    )

select models.attribution_model
from models
cross join budgets
left join credits on models.attribution_model = credits.attribution_model
left join returns on models.attribution_model = returns.attribution_model
where
    coalesce(credits.amount_base, 0) <> coalesce(returns.amount_base, 0)
    or coalesce(budgets.amount_base, 0) <> coalesce(returns.spent_amount_base, 0)
    or abs(coalesce(credits.sale_count, 0) - coalesce(returns.credited_conversions, 0))
    > 0.00001 * coalesce(credits.sale_count, 0)
