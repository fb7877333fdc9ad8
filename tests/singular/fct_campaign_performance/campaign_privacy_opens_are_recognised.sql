-- Openers without a privacy proxy are in sum at most a tenth above the report's. If
-- they are more, load Apple's published list into the seed mail_proxy_networks. The
-- recipients who were erased after we read their opens are a part of that tenth.
{{ config(severity="warn") }}

select
    source_system,
    sum(proxy_excluded_opener_count) as opener_count,
    sum(reported_proxy_excluded_opener_count) as reported_opener_count
from {{ ref("fct_campaign_performance") }}
where reported_proxy_excluded_opener_count is not null and open_count > 0
group by source_system
having
    sum(proxy_excluded_opener_count) > 1.1 * sum(reported_proxy_excluded_opener_count)
