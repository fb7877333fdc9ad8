-- Whole years without a gap; weeks by ISO 8601: January 4 is in week 1 of its year, a
-- week runs Monday to Sunday.
with
    dates as (select * from {{ ref("dim_dates") }}),
    years_cte as (
        select
            calendar_year,
            count(*) as day_count,
            count(distinct date_day) as distinct_days,
            min(month_of_year * 100 + day_of_month) as first_day,
            max(month_of_year * 100 + day_of_month) as last_day
        from dates
        group by calendar_year
    ),
    weeks_cte as (
        select
            iso_year,
            iso_week,
            count(*) as day_count,
            count(distinct iso_weekday) as distinct_weekdays,
            count(distinct week_start_date) as start_count
        from dates
        group by iso_year, iso_week
    ),
    bounds_cte as (
        select max(calendar_year) - min(calendar_year) + 1 as year_span from dates
    )

select 'year' as problem, calendar_year as problem_number
from years_cte
where
    day_count not in (365, 366)
    or day_count <> distinct_days
    or first_day <> 101
    or last_day <> 1231
union all
select 'missing year' as problem, year_span as problem_number
from bounds_cte
where year_span <> (select count(*) from years_cte)
union all
select 'week' as problem, iso_year * 100 + iso_week as problem_number
from weeks_cte
where day_count > 7 or day_count <> distinct_weekdays or start_count <> 1
union all
select 'week 1' as problem, calendar_year as problem_number
from dates
where
    month_of_year = 1
    and day_of_month = 4
    and (iso_week <> 1 or iso_year <> calendar_year)
union all
select 'weekday' as problem, calendar_year as problem_number
from dates
where
    is_weekend <> (weekday_name in ('Saturday', 'Sunday'))
    or (iso_weekday = 1) <> (date_day = week_start_date)
