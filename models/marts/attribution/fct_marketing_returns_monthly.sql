with
    attribution as (select * from {{ ref("fct_attribution") }}),
    budgets as (select * from {{ ref("int_marketing_budgets__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    credits_cte as (
        select
            attribution_model,
            channel,
            campaign_name,
            sum(credited_revenue_amount_base) as credited_revenue_amount_base,
            sum({{ in_millionths("credit_share") }}) as credit_millionths,
            bool_or(is_rate_missing) as is_rate_missing,
            cast(date_trunc('month', converted_date) as date) as month_start_date
        from attribution
        group by
            attribution_model,
            channel,
            campaign_name,
            cast(date_trunc('month', converted_date) as date)
    ),
    rated_budgets_cte as (
        select
            coalesce(budgets.channel, '(not set)') as channel,
            coalesce(budgets.campaign_name, '(whole channel)') as campaign_name,
            budgets.spent_amount,
            {{ rate_to_base("budgets.currency_code", "exchange_rates") }}
            as rate_to_base,
            budgets.budget_month as month_start_date
        from budgets
        left join
            exchange_rates
            on budgets.currency_code = exchange_rates.currency_code
            and budgets.budget_month = exchange_rates.rate_date
    ),
    spendings_cte as (
        select
            channel,
            campaign_name,
            sum(
                {{ in_base_currency("spent_amount", "rate_to_base") }}
            ) as spent_amount_base,
            bool_or(rate_to_base is null) as is_rate_missing,
            month_start_date
        from rated_budgets_cte
        where spent_amount is not null
        group by channel, campaign_name, month_start_date
    ),
    models_cte as ({{ attribution_models() }}),
    -- What was spent is beside the credits of every model.
    modelled_spendings_cte as (
        select spendings_cte.*, models_cte.attribution_model
        from spendings_cte
        cross join models_cte
    ),
    compared_cte as (
        select
            coalesce(
                credits_cte.attribution_model, modelled_spendings_cte.attribution_model
            ) as attribution_model,
            coalesce(credits_cte.channel, modelled_spendings_cte.channel) as channel,
            coalesce(
                credits_cte.campaign_name, modelled_spendings_cte.campaign_name
            ) as campaign_name,
            coalesce(credits_cte.credit_millionths, 0) as credit_millionths,
            case
                when credits_cte.attribution_model is null
                then 0
                else credits_cte.credited_revenue_amount_base
            end as credited_revenue_amount_base,
            modelled_spendings_cte.spent_amount_base,
            coalesce(credits_cte.is_rate_missing, false)
            or coalesce(
                modelled_spendings_cte.is_rate_missing, false
            ) as is_rate_missing,
            coalesce(
                credits_cte.month_start_date, modelled_spendings_cte.month_start_date
            ) as month_start_date
        from credits_cte
        full join
            modelled_spendings_cte
            on credits_cte.attribution_model = modelled_spendings_cte.attribution_model
            and credits_cte.channel = modelled_spendings_cte.channel
            and credits_cte.campaign_name = modelled_spendings_cte.campaign_name
            and credits_cte.month_start_date = modelled_spendings_cte.month_start_date
    ),
    channels_cte as (
        select
            *,
            sum(credited_revenue_amount_base) over (
                partition by attribution_model, channel, month_start_date
            ) as channel_revenue_amount_base,
            sum(spent_amount_base) over (
                partition by attribution_model, channel, month_start_date
            ) as channel_spent_amount_base
        from compared_cte
    ),
    final_cte as (
        select
            attribution_model,
            channel,
            campaign_name,
            '{{ var("base_currency") }}' as base_currency_code,
            cast(credit_millionths as double) / 1000000 as credited_conversions,
            cast(
                credited_revenue_amount_base as decimal(18, 4)
            ) as credited_revenue_amount_base,
            cast(spent_amount_base as decimal(18, 4)) as spent_amount_base,
            case
                when campaign_name <> '(whole channel)'
                then {{ ratio("credited_revenue_amount_base", "spent_amount_base") }}
            end as return_on_ad_spend,
            {{ ratio("channel_revenue_amount_base", "channel_spent_amount_base") }}
            as channel_return_on_ad_spend,
            is_rate_missing,
            month_start_date
        from channels_cte
    )

select *
from final_cte
