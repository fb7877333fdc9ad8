with
    companies as (select * from {{ ref("int_companies__unioned") }}),
    deals as (select * from {{ ref("fct_deals") }}),
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
            companies.company_id,
            companies.source_system,
            companies.source_company_id,
            companies.company_name,
            companies.domain_name,
            companies.industry,
            companies.phone,
            companies.city,
            companies.country_code,
            companies.lifecycle_stage,
            companies.owner_name,
            companies.owner_email,
            companies.revenue_currency_code,
            '{{ var("base_currency") }}' as base_currency_code,
            companies.employee_count,
            companies.annual_revenue_amount,
            coalesce(deal_totals_cte.open_deal_count, 0) as open_deal_count,
            coalesce(deal_totals_cte.won_deal_count, 0) as won_deal_count,
            coalesce(deal_totals_cte.lost_deal_count, 0) as lost_deal_count,
            cast(
                coalesce(deal_totals_cte.won_amount_base, 0) as decimal(18, 4)
            ) as won_amount_base,
            companies.created_at,
            companies.updated_at
        from companies
        left join deal_totals_cte on companies.company_id = deal_totals_cte.company_id
    )

select *
from final_cte
