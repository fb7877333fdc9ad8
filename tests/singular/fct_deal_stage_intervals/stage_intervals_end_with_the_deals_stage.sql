-- Every deal that has a stage is in it by its one open interval, and no other deals are
-- in any.
with
    expected_cte as (
        select deal_id, stage_id from {{ ref("fct_deals") }} where stage_id is not null
    ),
    actual_cte as (
        select deal_id, stage_id
        from {{ ref("fct_deal_stage_intervals") }}
        where is_open_interval
    ),
    missing_cte as (
        select *
        from expected_cte
        except
        select *
        from actual_cte
    ),
    unexpected_cte as (
        select *
        from actual_cte
        except
        select *
        from expected_cte
    )

select 'missing' as problem, missing_cte.*
from missing_cte
union all
select 'unexpected' as problem, unexpected_cte.*
from unexpected_cte
