-- A deal is open, won or lost; it has a close if and only if it is not open.
select deal_id, is_open, is_won, is_lost, closed_at
from {{ ref("fct_deals") }}
where
    (is_open and is_won)
    or (is_open and is_lost)
    or (is_won and is_lost)
    or not (is_open or is_won or is_lost)
    or is_open <> (closed_at is null)
