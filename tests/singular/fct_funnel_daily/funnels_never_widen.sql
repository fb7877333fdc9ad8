-- Nobody reaches a step without the one before it.
select *
from {{ ref("fct_funnel_daily") }}
where share_of_previous_step > 1 or share_of_first_step > 1
