with
    lead_responses as (select * from {{ ref("fct_lead_responses") }}),
    months_cte as (
        select
            source_system,
            count(*) as lead_count,
            count(response_minutes) as answered_lead_count,
            count(*) filter (where is_within_5_minutes) as within_5_minutes_lead_count,
            {% for measure in ["response_minutes", "response_business_minutes"] %}
                {{ percentile(measure, 0.5) }} as {{ measure }}_p50,
                {{ percentile(measure, 0.9) }} as {{ measure }}_p90,
            {% endfor %}
            cast(date_trunc('month', created_date) as date) as month_start_date
        from lead_responses
        group by source_system, cast(date_trunc('month', created_date) as date)
    ),
    final_cte as (
        select
            source_system,
            lead_count,
            answered_lead_count,
            within_5_minutes_lead_count,
            {{ ratio("answered_lead_count", "lead_count") }} as answered_ratio,
            {{ ratio("within_5_minutes_lead_count", "lead_count") }}
            as within_5_minutes_of_leads_ratio,
            {{ ratio("within_5_minutes_lead_count", "answered_lead_count") }}
            as within_5_minutes_of_answered_ratio,
            response_minutes_p50,
            response_minutes_p90,
            response_business_minutes_p50,
            response_business_minutes_p90,
            month_start_date
        from months_cte
    )

select *
from final_cte
