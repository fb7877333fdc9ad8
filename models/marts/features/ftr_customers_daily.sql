{{
    config(
        materialized="incremental",
        unique_key=["entity_id", "feature_at"],
        pre_hook=[
            "{{ take_same_stock(ref('fct_customer_days')) }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_after_changed_days('feature_at') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{#- Sums over the last so many days; none is since ever. -#}
{%- set sums = {
    "order_count": [30, 90, 365, none],
    "unrated_order_count": [30, 90, 365, none],
    "order_amount_base": [30, 90, 365, none],
    "order_day_count": [none],
    "refund_count": [90],
    "unrated_refund_count": [90],
    "refund_amount_base": [90],
    "visit_day_count": [7, 30, 90],
} -%}
{%- set spans = [7, 30, 90, 365] -%}
{%- set columns = [] -%}
{%- for sum, numbers in sums.items() -%}
    {%- for number in numbers -%}
        {%- set name = sum ~ "_" ~ number ~ "d" if number else sum -%}
        {%- do columns.append({"name": name, "sum": sum, "days": number}) -%}
    {%- endfor -%}
{%- endfor -%}
{%- set so_far = "partition by points_cte.customer_id order by points_cte.from_date nulls last rows between unbounded preceding and current row" -%}

with
    customer_days as (select * from {{ ref("fct_customer_days") }}),
    days as ({{ all_days() }}),
    {% if is_incremental() %}
        kept_cte as (
            select entity_id, max(feature_at) as kept_at
            from {{ this }}
            group by entity_id
        ),
    {% endif %}
    customers_cte as ({{ known_customers("customer_days") }}),
    starts_cte as (
        select
            customers_cte.customer_id,
            {{
                day_after(
                    "coalesce(cast("
                    ~ local_time("kept_cte.kept_at")
                    ~ " as date), customers_cte.first_date)"
                    if is_incremental()
                    else "customers_cte.first_date"
                )
            }} as start_date,
            customers_cte.as_of_date
        from customers_cte
        {% if is_incremental() %}
            left join kept_cte on customers_cte.customer_id = kept_cte.entity_id
        {% endif %}
    ),
    counted_cte as (
        select
            customer_days.*,
            starts_cte.start_date,
            starts_cte.as_of_date,
            -- A day counts as one of orders, or of visits, from when on it is known.
            {% for kind, count in {
                "order": "order_count",
                "visit": "visit_event_count",
            }.items() %}
                case
                    when
                        customer_days.{{ count }} > 0
                        and customer_days.known_date
                        = min(
                            case
                                when customer_days.{{ count }} > 0
                                then customer_days.known_date
                            end
                        ) over (
                            partition by
                                customer_days.customer_id, customer_days.business_date
                        )
                    then 1
                    else 0
                end as {{ kind }}_day_count
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from customer_days
        inner join starts_cte on customer_days.customer_id = starts_cte.customer_id
        where
            starts_cte.start_date <= starts_cte.as_of_date
            and customer_days.known_date < starts_cte.as_of_date
    ),
    -- What a day adds to the sums when it is known, and takes away when it is too long
    -- ago. What was before the first midnight that is asked for, was just before it.
    moves_cte as (
        select
            customer_id,
            greatest({{ day_after("known_date") }}, start_date) as from_date,
            as_of_date,
            {% for column in columns %}
                {% if column.days %}
                    case
                        when
                            known_date
                            < {{ dbt.dateadd("day", column.days, "business_date") }}
                        then {{ column.sum }}
                        else 0
                    end as {{ column.name }},
                {% else %} {{ column.sum }},
                {% endif %}
            {% endfor %}
            case when opening_count > 0 then business_date end as opened_date,
            case when order_count > 0 then business_date end as first_order_date,
            case when order_count > 0 then business_date end as last_order_date,
            case when visit_event_count > 0 then business_date end as last_visit_date
        from counted_cte
        {% for span in spans %}
            union all
            select
                customer_id,
                greatest(
                    cast({{ dbt.dateadd("day", span + 1, "business_date") }} as date),
                    start_date
                ) as from_date,
                as_of_date,
                {% for column in columns %}
                    {{ "-" ~ column.sum if column.days == span else 0 }}
                    as {{ column.name }},
                {% endfor %}
                cast(null as date) as opened_date,
                cast(null as date) as first_order_date,
                cast(null as date) as last_order_date,
                cast(null as date) as last_visit_date
            from counted_cte
            where
                known_date < {{ dbt.dateadd("day", span, "business_date") }}
                and {{ dbt.dateadd("day", span + 1, "business_date") }} <= as_of_date
                and (
                    {{
                        columns | selectattr("days", "equalto", span) | map(
                            attribute="sum"
                        ) | join(" <> 0 or ")
                    }} <> 0
                )
        {% endfor %}
    ),
    points_cte as (
        select
            customer_id,
            {% for column in columns %}
                sum({{ column.name }}) as {{ column.name }},
            {% endfor %}
            from_date,
            max(as_of_date) as as_of_date,
            min(opened_date) as opened_date,
            min(first_order_date) as first_order_date,
            max(last_order_date) as last_order_date,
            max(last_visit_date) as last_visit_date
        from moves_cte
        group by customer_id, from_date
    ),
    -- The days between days with orders, as they were known when one more was.
    order_days_cte as (
        select
            customer_id,
            business_date,
            greatest({{ day_after("known_date") }}, start_date) as from_date
        from counted_cte
        where order_day_count = 1
    ),
    versions_cte as (
        select customer_id, from_date
        from order_days_cte
        group by customer_id, from_date
    ),
    known_order_days_cte as (
        select
            versions_cte.customer_id,
            versions_cte.from_date,
            order_days_cte.business_date,
            lag(order_days_cte.business_date) over (
                partition by versions_cte.customer_id, versions_cte.from_date
                order by order_days_cte.business_date nulls last
            ) as business_date_before
        from versions_cte
        inner join
            order_days_cte
            on versions_cte.customer_id = order_days_cte.customer_id
            and versions_cte.from_date >= order_days_cte.from_date
    ),
    gaps_cte as (
        select
            customer_id,
            from_date,
            {{ dbt.datediff("business_date_before", "business_date", "day") }}
            as gap_days
        from known_order_days_cte
        where business_date_before is not null
    ),
    usual_cte as (
        select
            customer_id,
            from_date,
            cast({{ percentile("gap_days", 0.5) }} as double) as median_order_gap_days,
            case
                when count(*) >= {{ var("silence_min_gaps") }}
                -- (a multiple of 0.05, which engines come near in different ways)
                then round(cast({{ percentile("gap_days", 0.95) }} as double), 2)
            end as long_order_gap_days
        from gaps_cte
        group by customer_id, from_date
    ),
    states_cte as (
        select
            points_cte.customer_id,
            {% for column in columns %}
                sum(points_cte.{{ column.name }}) over (
                    {{ so_far }}
                ) as {{ column.name }},
            {% endfor %}
            {% for gap in ["median_order_gap_days", "long_order_gap_days"] %}
                {{ last_known("usual_cte." ~ gap, so_far) }} as {{ gap }},
            {% endfor %}
            points_cte.from_date,
            coalesce(
                lead(points_cte.from_date) over (
                    partition by points_cte.customer_id
                    order by points_cte.from_date nulls last
                ),
                {{ day_after("points_cte.as_of_date") }}
            ) as to_date,
            min(points_cte.opened_date) over ({{ so_far }}) as opened_date,
            min(points_cte.first_order_date) over ({{ so_far }}) as first_order_date,
            max(points_cte.last_order_date) over ({{ so_far }}) as last_order_date,
            max(points_cte.last_visit_date) over ({{ so_far }}) as last_visit_date
        from points_cte
        left join
            usual_cte
            on points_cte.customer_id = usual_cte.customer_id
            and points_cte.from_date = usual_cte.from_date
    ),
    -- A state holds until the next one begins.
    state_days_cte as (
        select *, {{ day_rows("from_date", "to_date") }} as known_date from states_cte
    ),
    midnights_cte as (
        select date_day as known_date, {{ business_midnight("date_day") }} as known_at
        from days
    ),
    moments_cte as (
        select
            state_days_cte.*,
            {% for column in ["opened", "first_order", "last_order", "last_visit"] %}
                cast(
                    {{
                        dbt.datediff(
                            "state_days_cte." ~ column ~ "_date",
                            "state_days_cte.known_date",
                            "day",
                        )
                    }} as bigint
                ) as days_since_{{ column }},
            {% endfor %}
            midnights_cte.known_at
        from state_days_cte
        inner join midnights_cte on state_days_cte.known_date = midnights_cte.known_date
    ),
    final_cte as (
        select
            customer_id as entity_id,
            days_since_opened as account_age_days,
            days_since_first_order,
            days_since_last_order as days_since_order,
            days_since_last_visit as days_since_visit,
            {% for days in ["_30d", "_90d", "_365d", ""] %}
                cast(order_count{{ days }} as bigint) as order_count{{ days }},
            {% endfor %}
            cast(unrated_order_count as bigint) as unrated_order_count,
            cast(order_day_count as bigint) as order_day_count,
            cast(refund_count_90d as bigint) as refund_count_90d,
            {% for days in ["_7d", "_30d", "_90d"] %}
                cast(visit_day_count{{ days }} as bigint) as visit_day_count{{ days }},
            {% endfor %}
            {% for days in ["_30d", "_90d", "_365d", ""] %}
                cast(
                    case
                        when unrated_order_count{{ days }} = 0
                        then order_amount_base{{ days }}
                    end as decimal(18, 4)
                ) as order_amount_base{{ days }},
            {% endfor %}
            cast(
                case
                    when unrated_refund_count_90d = 0 then refund_amount_base_90d
                end as decimal(18, 4)
            ) as refund_amount_base_90d,
            case
                when unrated_order_count = 0
                then {{ ratio("order_amount_base", "order_count") }}
            end as mean_order_amount_base,
            {{ ratio("(order_day_count - 1) * 365", "days_since_first_order") }}
            as repeat_order_days_per_year,
            median_order_gap_days,
            long_order_gap_days,
            {{ ratio("days_since_last_order", "median_order_gap_days") }}
            as days_since_order_in_gaps,
            days_since_last_order > long_order_gap_days as is_silent,
            known_at as feature_at,
            known_at as available_at
        from moments_cte
    )

select *
from final_cte
