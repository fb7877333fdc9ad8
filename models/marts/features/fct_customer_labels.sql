{{
    config(
        materialized="incremental",
        unique_key=["entity_id", "label_at", "horizon_days"],
        pre_hook=[
            "{{ take_same_stock(ref('fct_customer_days')) }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_after_changed_days('label_available_at') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set sums = ["order_count", "unrated_order_count", "order_amount_base"] -%}
{%- set of_window = (
    "partition by customer_id, horizon_days order by from_date nulls last"
) -%}

with
    customer_days as (select * from {{ ref("fct_customer_days") }}),
    days as ({{ all_days() }}),
    customers_cte as ({{ known_customers("customer_days") }}),
    {% if is_incremental() %}
        kept_cte as (
            select entity_id, horizon_days, max(label_at) as kept_at
            from {{ this }}
            group by entity_id, horizon_days
        ),
    {% endif %}
    -- The windows that are over, and not there yet.
    starts_cte as (
        {% for number in var("customer_horizon_days") %}
            select
                customers_cte.customer_id,
                {{ number }} as horizon_days,
                {{
                    day_after(
                        "coalesce(cast("
                        ~ local_time("kept_cte.kept_at")
                        ~ " as date), customers_cte.first_date)"
                        if is_incremental()
                        else "customers_cte.first_date"
                    )
                }} as start_date,
                cast(
                    {{ dbt.dateadd("day", -number, "customers_cte.as_of_date") }}
                    as date
                ) as end_date
            from customers_cte
            {% if is_incremental() %}
                left join
                    kept_cte
                    on customers_cte.customer_id = kept_cte.entity_id
                    and kept_cte.horizon_days = {{ number }}
            {% endif %}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    windows_cte as (select * from starts_cte where start_date <= end_date),
    -- A day is in the windows from the first one that is still open when the day is
    -- known to the one that begins with it.
    placed_cte as (
        {% for number in var("customer_horizon_days") %}
            select
                customer_id,
                {{ number }} as horizon_days,
                order_count,
                unrated_order_count,
                order_amount_base,
                cast(
                    {{ dbt.dateadd("day", 1 - number, "known_date") }} as date
                ) as first_date,
                {{ day_after("business_date") }} as after_date
            from customer_days
            where
                order_count > 0
                and known_date < {{ dbt.dateadd("day", number, "business_date") }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    moves_cte as (
        select
            customer_id,
            horizon_days,
            {% for sum in sums %} 0 as {{ sum }}, {% endfor %}
            start_date as from_date,
            end_date
        from windows_cte
        {% for sign, date in [("", "first_date"), ("-", "after_date")] %}
            union all
            select
                windows_cte.customer_id,
                windows_cte.horizon_days,
                {% for sum in sums %}
                    {{ sign }}placed_cte.{{ sum }} as {{ sum }},
                {% endfor %}
                greatest(placed_cte.{{ date }}, windows_cte.start_date) as from_date,
                windows_cte.end_date
            from windows_cte
            inner join
                placed_cte
                on windows_cte.customer_id = placed_cte.customer_id
                and windows_cte.horizon_days = placed_cte.horizon_days
                and windows_cte.end_date >= placed_cte.{{ date }}
        {% endfor %}
    ),
    points_cte as (
        select
            customer_id,
            horizon_days,
            {% for sum in sums %} sum({{ sum }}) as {{ sum }}, {% endfor %}
            from_date,
            max(end_date) as end_date
        from moves_cte
        group by customer_id, horizon_days, from_date
    ),
    states_cte as (
        select
            customer_id,
            horizon_days,
            {% for sum in sums %}
                sum({{ sum }}) over (
                    {{ of_window }} rows between unbounded preceding and current row
                ) as {{ sum }},
            {% endfor %}
            from_date,
            coalesce(
                lead(from_date) over ({{ of_window }}), {{ day_after("end_date") }}
            ) as to_date
        from points_cte
    ),
    -- A state holds until the next one begins.
    state_days_cte as (
        select *, {{ day_rows("from_date", "to_date") }} as known_date from states_cte
    ),
    midnights_cte as (
        select date_day as known_date, {{ business_midnight("date_day") }} as known_at
        from days
    ),
    horizons_cte as (
        {% for number in var("customer_horizon_days") %}
            select
                {{ number }} as horizon_days,
                begins.known_date,
                begins.known_at as label_at,
                ends.known_at as label_available_at
            from midnights_cte as begins
            inner join
                midnights_cte as ends
                on ends.known_date
                = cast({{ dbt.dateadd("day", number, "begins.known_date") }} as date)
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    final_cte as (
        select
            state_days_cte.customer_id as entity_id,
            state_days_cte.horizon_days,
            -- (named otherwise than features, beside which exports put them)
            cast(state_days_cte.order_count as bigint) as next_order_count,
            cast(
                case
                    when state_days_cte.unrated_order_count = 0
                    then state_days_cte.order_amount_base
                end as decimal(18, 4)
            ) as next_order_amount_base,
            state_days_cte.order_count > 0 as has_order,
            horizons_cte.label_at,
            horizons_cte.label_available_at
        from state_days_cte
        inner join
            horizons_cte
            on state_days_cte.horizon_days = horizons_cte.horizon_days
            and state_days_cte.known_date = horizons_cte.known_date
    )

select *
from final_cte
