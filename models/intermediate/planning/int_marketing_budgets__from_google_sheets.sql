with
    budgets as (select * from {{ ref("stg_google_sheets__marketing_budgets") }}),
    channel_rules as (select * from {{ ref("channel_rules") }}),
    channels_cte as (
        select
            max(channel) as channel,
            {{ regex_replace_all("lower(channel)", "[^\\p{L}\\p{M}\\p{N}]", "") }}
            as channel_key
        from channel_rules
        group by all
    ),
    keyed_cte as (
        select
            *,
            {{ regex_replace_all("lower(channel)", "[^\\p{L}\\p{M}\\p{N}]", "") }}
            as channel_key
        from budgets
    ),
    final_cte as (
        select
            {{
                source_key(
                    "google_sheets",
                    "keyed_cte.declaration_name || '/' || keyed_cte.row_number",
                )
            }} as budget_id,
            'google_sheets' as source_system,
            keyed_cte.currency_code,
            coalesce(channels_cte.channel, keyed_cte.channel) as channel,
            keyed_cte.campaign_name,
            keyed_cte.planned_amount,
            keyed_cte.spent_amount,
            keyed_cte.month_start_date as budget_month
        from keyed_cte
        left join channels_cte on keyed_cte.channel_key = channels_cte.channel_key
    )

select *
from final_cte
