-- Business minutes are among the minutes, but for the hour that the clock may be put
-- forward; neither is negative, and both are there or none.
select lead_id, response_minutes, response_business_minutes
from {{ ref("fct_lead_responses") }}
where
    response_minutes < 0
    or response_business_minutes < 0
    or response_business_minutes > response_minutes + 60.001
    or (response_minutes is null) <> (response_business_minutes is null)
    or (response_minutes is null) <> (is_within_5_minutes is null)
    or (response_minutes is null) <> (first_outbound_touch_at is null)
