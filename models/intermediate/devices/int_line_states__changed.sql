{{
    config(
        materialized="incremental",
        unique_key=["device_id", "measured_date", "measured_at"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_device_readings__deduplicated')], 'measured_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('measured_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}

with
    readings as (
        select *
        from {{ ref("int_device_readings__deduplicated") }}
        {% if is_incremental() %}
            where measured_date in (select changed_day from {{ changed_days() }})
        {% endif %}
    ),
    -- A state may be a number.
    states_cte as (
        select
            device_id,
            coalesce(
                reading_text,
                case
                    when abs(reading_value) < 1e15
                    then cast(cast(reading_value as bigint) as string)
                end
            ) as state,
            measured_date,
            measured_at
        from {{ with_device_metrics("readings", ["line_role"]) }} as readings
        where line_role = 'state'
    ),
    followed_cte as (
        select
            *,
            lag(state) over (
                partition by device_id, measured_date order by measured_at nulls last
            ) as last_state
        from states_cte
        where state is not null
    ),
    final_cte as (
        select device_id, state, measured_date, measured_at
        from followed_cte
        where last_state is null or state <> last_state
    )

select *
from final_cte
