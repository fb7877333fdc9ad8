with
    as_of as (select * from {{ ref("int_operations__as_of") }}),
    stages as (select * from {{ ref("int_deal_stages__unioned") }}),
    stage_intervals as (select * from {{ ref("int_deal_stage_changes__intervals") }}),
    deals as (select * from {{ ref("fct_deals") }}),
    days as ({{ all_days() }}),
    -- What happens on a day: deals enter and leave a stage, and are closed for good.
    events_cte as (
        select
            stage_intervals.pipeline_id,
            stage_intervals.stage_id,
            cast({{ local_time("stage_intervals.entered_at") }} as date) as event_date,
            'entered' as event_type,
            deals.deal_amount_base
        from stage_intervals
        inner join deals on stage_intervals.deal_id = deals.deal_id
        union all
        select
            stage_intervals.pipeline_id,
            stage_intervals.stage_id,
            cast({{ local_time("stage_intervals.left_at") }} as date) as event_date,
            'left' as event_type,
            deals.deal_amount_base
        from stage_intervals
        inner join deals on stage_intervals.deal_id = deals.deal_id
        where stage_intervals.left_at is not null
        union all
        select
            pipeline_id,
            stage_id,
            closed_date as event_date,
            case when is_won then 'won' else 'lost' end as event_type,
            deal_amount_base
        from deals
        where not is_open
    ),
    flows_cte as (
        select
            pipeline_id,
            stage_id,
            event_date,
            {% for event in ["entered", "left", "won", "lost"] %}
                count(*) filter (
                    where event_type = '{{ event }}'
                ) as {{ event }}_deal_count,
                count(*) filter (
                    where event_type = '{{ event }}' and deal_amount_base is null
                ) as {{ event }}_unvalued_count,
                coalesce(
                    sum(case when event_type = '{{ event }}' then deal_amount_base end),
                    0
                ) as {{ event }}_amount_base
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from events_cte
        group by pipeline_id, stage_id, event_date
    ),
    first_days_cte as (
        select pipeline_id, min(event_date) as first_date
        from events_cte
        where pipeline_id is not null
        group by pipeline_id
    ),
    -- The stages of the pipelines, and those that are gone from them but had deals.
    stages_cte as (
        select
            pipeline_id,
            stage_id,
            max(source_system) as source_system,
            max(pipeline_name) as pipeline_name,
            max(stage_name) as stage_name,
            max(stage_outcome) as stage_outcome,
            max(stage_order) as stage_order,
            max(stage_probability) as stage_probability
        from
            (
                select
                    pipeline_id,
                    stage_id,
                    source_system,
                    pipeline_name,
                    stage_name,
                    case
                        when is_won then 'won' when is_lost then 'lost' else 'open'
                    end as stage_outcome,
                    stage_order,
                    stage_probability
                from stages
                union all
                select
                    pipeline_id,
                    stage_id,
                    source_system,
                    pipeline_name,
                    stage_name,
                    stage_outcome,
                    stage_order,
                    stage_probability
                from stage_intervals
            ) as known_and_used_stages
        group by pipeline_id, stage_id
    ),
    grid_cte as (
        select stages_cte.*, days.date_day as date_day
        from stages_cte
        inner join first_days_cte on stages_cte.pipeline_id = first_days_cte.pipeline_id
        inner join days on days.date_day >= first_days_cte.first_date
        inner join
            as_of on days.date_day <= cast({{ local_time("as_of.as_of_at") }} as date)
    ),
    filled_cte as (
        select
            grid_cte.*,
            {% for event in ["entered", "left", "won", "lost"] %}
                coalesce(flows_cte.{{ event }}_deal_count, 0) as {{ event }}_deal_count,
                coalesce(
                    flows_cte.{{ event }}_unvalued_count, 0
                ) as {{ event }}_unvalued_count,
                coalesce(
                    flows_cte.{{ event }}_amount_base, 0
                ) as {{ event }}_amount_base
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from grid_cte
        left join
            flows_cte
            on grid_cte.pipeline_id = flows_cte.pipeline_id
            and grid_cte.stage_id = flows_cte.stage_id
            and grid_cte.date_day = flows_cte.event_date
    ),
    balances_cte as (
        select
            *,
            {% for measure, data_type in {
                "deal_count": "bigint",
                "unvalued_count": "bigint",
                "amount_base": "decimal(18, 4)",
            }.items() %}
                cast(
                    sum(entered_{{ measure }} - left_{{ measure }}) over (
                        partition by pipeline_id, stage_id order by date_day nulls first
                    ) as {{ data_type }}
                ) as present_{{ measure }}
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from filled_cte
    ),
    final_cte as (
        select
            pipeline_id,
            stage_id,
            source_system,
            pipeline_name,
            stage_name,
            stage_outcome,
            '{{ var("base_currency") }}' as base_currency_code,
            stage_order,
            stage_probability,
            present_deal_count as deal_count,
            cast(
                case
                    when stage_outcome = 'open' then present_deal_count else 0
                end as bigint
            ) as open_deal_count,
            cast(
                case
                    when stage_outcome = 'open' then present_unvalued_count else 0
                end as bigint
            ) as open_unvalued_deal_count,
            cast(
                case
                    when stage_outcome = 'open' then present_amount_base else 0
                end as decimal(18, 4)
            ) as open_amount_base,
            cast(
                round(
                    case when stage_outcome = 'open' then present_amount_base else 0 end
                    * cast(stage_probability as decimal(5, 4)),
                    4
                ) as decimal(18, 4)
            ) as weighted_amount_base,
            entered_deal_count,
            left_deal_count,
            won_deal_count,
            lost_deal_count,
            cast(won_amount_base as decimal(18, 4)) as won_amount_base,
            cast(lost_amount_base as decimal(18, 4)) as lost_amount_base,
            date_day
        from balances_cte
    )

select *
from final_cte
