with
    leads as (select * from {{ ref("int_leads__unioned") }}),
    touches as (select * from {{ ref("int_engagement_touches__unioned") }}),
    business_hours as (select * from {{ ref("business_hours") }}),
    days as ({{ all_days() }}),
    ranked_touches_cte as (
        select
            leads.lead_id,
            touches.touch_id,
            touches.touch_type,
            touches.occurred_at,
            row_number() over (
                partition by leads.lead_id
                order by touches.occurred_at nulls last, touches.touch_id nulls last
            ) as touch_number
        from leads
        inner join
            touches
            on leads.contact_id = touches.contact_id
            and touches.occurred_at >= leads.created_at
        where touches.direction = 'outbound'
    ),
    responses_cte as (
        select
            leads.*,
            ranked_touches_cte.touch_id,
            ranked_touches_cte.touch_type,
            ranked_touches_cte.occurred_at as first_outbound_touch_at,
            {{ local_time("leads.created_at") }} as created_local,
            {{ local_time("ranked_touches_cte.occurred_at") }} as touched_local
        from leads
        left join
            ranked_touches_cte
            on leads.lead_id = ranked_touches_cte.lead_id
            and ranked_touches_cte.touch_number = 1
    ),
    bounds_cte as (
        select
            cast(min(created_local) as date) as first_date,
            cast(max(touched_local) as date) as last_date
        from responses_cte
    ),
    opening_hours_cte as (
        select
            {{ at_time_of_day("days.date_day", "business_hours.opening_time") }}
            as opening_local,
            {{ at_time_of_day("days.date_day", "business_hours.closing_time") }}
            as closing_local
        from days
        inner join
            bounds_cte
            on days.date_day between bounds_cte.first_date and bounds_cte.last_date
        inner join
            business_hours
            on {{
                dbt.datediff(
                    "date_trunc('week', days.date_day)", "days.date_day", "day"
                )
            }} + 1 = business_hours.iso_weekday
    ),
    -- What of every day's opening hours lies between the two.
    business_time_cte as (
        select
            responses_cte.lead_id,
            sum(
                {{
                    microseconds_between(
                        "greatest(opening_hours_cte.opening_local, responses_cte.created_local)",
                        "least(opening_hours_cte.closing_local, responses_cte.touched_local)",
                    )
                }}
            ) as business_microseconds
        from responses_cte
        inner join
            opening_hours_cte
            on opening_hours_cte.closing_local > responses_cte.created_local
            and opening_hours_cte.opening_local < responses_cte.touched_local
        group by responses_cte.lead_id
    ),
    minutes_cte as (
        select
            responses_cte.*,
            cast(
                {{
                    microseconds_between(
                        "responses_cte.created_at",
                        "responses_cte.first_outbound_touch_at",
                    )
                }} as double
            )
            / 60000000 as response_minutes,
            cast(business_time_cte.business_microseconds as double)
            / 60000000 as business_minutes
        from responses_cte
        left join business_time_cte on responses_cte.lead_id = business_time_cte.lead_id
    ),
    final_cte as (
        select
            lead_id,
            contact_id,
            touch_id,
            source_system,
            source_lead_id,
            lead_name,
            lead_type,
            lead_stage_name,
            owner_name,
            owner_email,
            touch_type,
            response_minutes,
            case
                when first_outbound_touch_at is not null
                then coalesce(business_minutes, 0)
            end as response_business_minutes,
            response_minutes <= 5 as is_within_5_minutes,
            cast(created_local as date) as created_date,
            created_at,
            first_outbound_touch_at
        from minutes_cte
    )

select *
from final_cte
