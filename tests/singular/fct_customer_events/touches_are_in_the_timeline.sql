-- Every session of a known person, and every e-mail event of which a touch is made,
-- is in the person's timeline.
select touches.touch_id, touches.person_id
from {{ ref("int_attribution_touches__found") }} as touches
left join
    {{ ref("fct_customer_events") }} as customer_events
    on touches.touch_id = customer_events.record_id
    and touches.person_id = customer_events.person_id
    and touches.touched_at = customer_events.occurred_at
where customer_events.event_id is null
