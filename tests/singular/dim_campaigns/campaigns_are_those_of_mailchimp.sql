-- Mailchimp's present campaigns are all there and not deleted; all others are.
with
    expected_cte as (select campaign_id from {{ ref("stg_mailchimp__campaigns") }}),
    actual_cte as (
        select source_campaign_id as campaign_id
        from {{ ref("dim_campaigns") }}
        where source_system = 'mailchimp' and not is_deleted
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

select 'missing' as problem, campaign_id
from missing_cte
union all
select 'unexpected' as problem, campaign_id
from unexpected_cte
