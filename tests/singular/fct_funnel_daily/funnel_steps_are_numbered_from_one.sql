-- The seed: no gap, one name per step, and no more steps than are counted.
select funnel
from {{ ref("funnel_steps") }}
group by funnel
having
    min(step_number) <> 1
    or max(step_number) <> count(distinct step_number)
    or max(step_number) > {{ var("funnel_steps_at_most") }}
    or count(distinct step_number) <> count(distinct step_name)
