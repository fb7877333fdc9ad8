with
    companies as (select * from {{ ref("int_companies__unioned") }}),
    deals as (select * from {{ ref("fct_deals") }}),
    contacts as (select * from {{ ref("dim_contacts") }}),
    matches as (select * from {{ ref("int_companies__matched") }}),
    accounts as (select * from {{ ref("dim_customer_accounts") }}),
    known_cte as (
        select
            company_id,
            source_system,
            source_company_id,
            company_name,
            domain_name,
            industry,
            phone,
            city,
            country_code,
            lifecycle_stage,
            owner_name,
            owner_email,
            revenue_currency_code,
            employee_count,
            annual_revenue_amount,
            created_at,
            updated_at
        from companies
        union all
        -- What no CRM has is as its first account says.
        select
            matches.company_id,
            accounts.source_system,
            accounts.source_customer_id as source_company_id,
            accounts.company_name,
            cast(null as string) as domain_name,
            cast(null as string) as industry,
            accounts.phone,
            cast(null as string) as city,
            accounts.country_code,
            cast(null as string) as lifecycle_stage,
            cast(null as string) as owner_name,
            cast(null as string) as owner_email,
            cast(null as string) as revenue_currency_code,
            cast(null as bigint) as employee_count,
            cast(null as decimal(18, 4)) as annual_revenue_amount,
            accounts.created_at,
            accounts.updated_at
        from matches
        inner join accounts on matches.customer_id = accounts.customer_id
        where matches.evidence = 'account' and matches.company_id = matches.customer_id
    ),
    contact_counts_cte as (
        select company_id, count(*) as contact_count from contacts group by company_id
    ),
    account_totals_cte as (
        select
            matches.company_id,
            count(*) as customer_account_count,
            sum(accounts.net_revenue_amount_base) as net_revenue_amount_base,
            bool_or(accounts.is_rate_missing) as is_rate_missing
        from matches
        inner join accounts on matches.customer_id = accounts.customer_id
        group by matches.company_id
    ),
    deal_totals_cte as (
        select
            company_id,
            count(*) filter (where is_open) as open_deal_count,
            count(*) filter (where is_won) as won_deal_count,
            count(*) filter (where is_lost) as lost_deal_count,
            coalesce(
                sum(case when is_won then deal_amount_base end), 0
            ) as won_amount_base
        from deals
        group by company_id
    ),
    final_cte as (
        select
            known_cte.company_id,
            known_cte.source_system,
            known_cte.source_company_id,
            known_cte.company_name,
            known_cte.domain_name,
            known_cte.industry,
            known_cte.phone,
            known_cte.city,
            known_cte.country_code,
            known_cte.lifecycle_stage,
            known_cte.owner_name,
            known_cte.owner_email,
            known_cte.revenue_currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            known_cte.employee_count,
            known_cte.annual_revenue_amount,
            coalesce(deal_totals_cte.open_deal_count, 0) as open_deal_count,
            coalesce(deal_totals_cte.won_deal_count, 0) as won_deal_count,
            coalesce(deal_totals_cte.lost_deal_count, 0) as lost_deal_count,
            cast(
                coalesce(deal_totals_cte.won_amount_base, 0) as decimal(18, 4)
            ) as won_amount_base,
            coalesce(contact_counts_cte.contact_count, 0) as contact_count,
            coalesce(
                account_totals_cte.customer_account_count, 0
            ) as customer_account_count,
            cast(
                case
                    when account_totals_cte.company_id is null
                    then 0
                    else account_totals_cte.net_revenue_amount_base
                end as decimal(18, 4)
            ) as net_revenue_amount_base,
            coalesce(account_totals_cte.is_rate_missing, false) as is_rate_missing,
            known_cte.created_at,
            known_cte.updated_at
        from known_cte
        left join deal_totals_cte on known_cte.company_id = deal_totals_cte.company_id
        left join
            contact_counts_cte on known_cte.company_id = contact_counts_cte.company_id
        left join
            account_totals_cte on known_cte.company_id = account_totals_cte.company_id
    )

select *
from final_cte
