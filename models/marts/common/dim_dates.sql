with
    orders as (select * from {{ ref("int_orders__unioned") }}),
    payments as (select * from {{ ref("int_payments__unioned") }}),
    customers as (select * from {{ ref("int_customers__unioned") }}),
    exchange_rates as (select * from {{ ref("int_exchange_rates__daily") }}),
    deals as (select * from {{ ref("int_deals__unioned") }}),
    leads as (select * from {{ ref("int_leads__unioned") }}),
    campaigns as (select * from {{ ref("int_campaigns__unioned") }}),
    audience_statuses as (select * from {{ ref("int_audience_statuses__unioned") }}),
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    days as ({{ all_days() }}),
    data_dates_cte as (
        select order_date as data_date
        from orders
        union all
        select cast({{ local_time("transacted_at") }} as date) as data_date
        from payments
        union all
        select cast({{ local_time("created_at") }} as date) as data_date
        from customers
        union all
        select rate_date as data_date
        from exchange_rates
        union all
        select cast({{ local_time("created_at") }} as date) as data_date
        from deals
        union all
        select cast({{ local_time("created_at") }} as date) as data_date
        from leads
        union all
        select cast({{ local_time("sent_at") }} as date) as data_date
        from campaigns
        union all
        select cast({{ local_time("changed_at") }} as date) as data_date
        from audience_statuses
        union all
        -- Daily marts reach up to the newest load.
        select cast({{ local_time("as_of_at") }} as date) as data_date
        from as_of
    ),
    bounds_cte as (
        select
            extract(year from min(data_date)) as first_year,
            extract(year from max(data_date)) as last_year
        from data_dates_cte
    ),
    parts_cte as (
        select
            days.date_day,
            cast(date_trunc('week', days.date_day) as date) as week_start_date
        from days
        inner join
            bounds_cte
            on extract(year from days.date_day)
            between bounds_cte.first_year and bounds_cte.last_year
    ),
    numbers_cte as (
        select
            date_day,
            week_start_date,
            -- The ISO year of a week is the year of its Thursday.
            cast(
                extract(
                    year from {{ dbt.dateadd("day", 3, "week_start_date") }}
                ) as integer
            ) as iso_year,
            cast(extract(week from date_day) as integer) as iso_week,
            cast(
                {{ dbt.datediff("week_start_date", "date_day", "day") }} + 1 as integer
            ) as iso_weekday
        from parts_cte
    ),
    final_cte as (
        select
            case
                iso_weekday
                when 1
                then 'Monday'
                when 2
                then 'Tuesday'
                when 3
                then 'Wednesday'
                when 4
                then 'Thursday'
                when 5
                then 'Friday'
                when 6
                then 'Saturday'
                else 'Sunday'
            end as weekday_name,
            cast(extract(year from date_day) as integer) as calendar_year,
            cast(extract(quarter from date_day) as integer) as quarter_of_year,
            cast(extract(month from date_day) as integer) as month_of_year,
            cast(extract(day from date_day) as integer) as day_of_month,
            iso_year,
            iso_week,
            iso_weekday,
            iso_weekday >= 6 as is_weekend,
            date_day,
            week_start_date,
            cast(date_trunc('month', date_day) as date) as month_start_date,
            cast(date_trunc('quarter', date_day) as date) as quarter_start_date,
            cast(date_trunc('year', date_day) as date) as year_start_date
        from numbers_cte
    )

select *
from final_cte
