-- One order number of a reseller is one order: its lines name one currency, one day
-- and at most one country.
select reseller, order_number
from {{ ref("stg_partner_files__order_lines") }}
group by reseller, order_number
having
    count(distinct coalesce(currency_code, '')) > 1
    or count(distinct order_date) > 1
    or count(distinct country_code) > 1
