with
    states as (select * from {{ ref("int_line_states__changed") }}),
    line_states as (select * from {{ ref("line_states") }}),
    final_cte as (
        select
            states.device_id,
            states.state,
            coalesce(line_states.is_planned, true) as is_planned,
            coalesce(line_states.is_running, false) as is_running,
            states.measured_date,
            states.measured_at as valid_from,
            lead(states.measured_at) over (
                partition by states.device_id order by states.measured_at nulls last
            ) as valid_to
        from states
        left join line_states on states.state = line_states.state
    )

select *
from final_cte
