with
    statuses as (select * from {{ ref("int_audience_statuses__unioned") }}),
    audiences as (select * from {{ ref("int_audiences__unioned") }}),
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    days as ({{ all_days() }}),
    changes_cte as (
        select
            audience_id,
            source_system,
            cast({{ local_time("changed_at") }} as date) as growth_date,
            member_status,
            coalesce(
                lag(member_status) over (
                    partition by audience_id, contact_id order by changed_at nulls first
                ),
                'unknown'
            ) as previous_status
        from statuses
    ),
    daily_changes_cte as (
        select
            audience_id,
            source_system,
            growth_date,
            count_if(
                member_status = 'subscribed' and previous_status <> 'subscribed'
            ) as joined_count,
            count_if(
                member_status = 'unsubscribed' and previous_status = 'subscribed'
            ) as unsubscribed_count,
            count_if(
                member_status = 'cleaned' and previous_status = 'subscribed'
            ) as cleaned_count,
            count_if(
                member_status not in ('subscribed', 'unsubscribed', 'cleaned')
                and previous_status = 'subscribed'
            ) as removed_count
        from changes_cte
        group by audience_id, source_system, growth_date
    ),
    spans_cte as (
        select
            daily_changes_cte.audience_id,
            daily_changes_cte.source_system,
            min(daily_changes_cte.growth_date) as first_date,
            greatest(
                max(daily_changes_cte.growth_date),
                max(cast({{ local_time("as_of.as_of_at") }} as date))
            ) as last_date
        from daily_changes_cte
        cross join as_of
        group by daily_changes_cte.audience_id, daily_changes_cte.source_system
    ),
    audience_days_cte as (
        select
            spans_cte.audience_id, spans_cte.source_system, days.date_day as growth_date
        from spans_cte
        inner join
            days on days.date_day between spans_cte.first_date and spans_cte.last_date
    ),
    counts_cte as (
        select
            audience_days_cte.*,
            coalesce(daily_changes_cte.joined_count, 0) as joined_count,
            coalesce(daily_changes_cte.unsubscribed_count, 0) as unsubscribed_count,
            coalesce(daily_changes_cte.cleaned_count, 0) as cleaned_count,
            coalesce(daily_changes_cte.removed_count, 0) as removed_count
        from audience_days_cte
        left join
            daily_changes_cte
            on audience_days_cte.audience_id = daily_changes_cte.audience_id
            and audience_days_cte.growth_date = daily_changes_cte.growth_date
    ),
    final_cte as (
        select
            counts_cte.audience_id,
            counts_cte.source_system,
            audiences.audience_name,
            cast(joined_count as bigint) as joined_count,
            cast(unsubscribed_count as bigint) as unsubscribed_count,
            cast(cleaned_count as bigint) as cleaned_count,
            cast(removed_count as bigint) as removed_count,
            cast(
                joined_count
                - unsubscribed_count
                - cleaned_count
                - removed_count as bigint
            ) as net_count,
            cast(
                sum(
                    joined_count - unsubscribed_count - cleaned_count - removed_count
                ) over (
                    partition by counts_cte.audience_id
                    order by counts_cte.growth_date nulls first
                ) as bigint
            ) as subscribed_count,
            counts_cte.growth_date
        from counts_cte
        left join audiences on counts_cte.audience_id = audiences.audience_id
    )

select *
from final_cte
