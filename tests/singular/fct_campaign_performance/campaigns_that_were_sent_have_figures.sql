-- Every campaign that was sent, and no other.
with
    expected_cte as (select campaign_id from {{ ref("dim_campaigns") }} where is_sent),
    actual_cte as (select campaign_id from {{ ref("fct_campaign_performance") }}),
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

select 'missing' as problem, campaign_id
from missing_cte
union all
select 'unexpected' as problem, campaign_id
from unexpected_cte
