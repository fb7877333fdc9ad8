-- Every campaign that was sent, and no other.
with
    expected_cte as (select campaign_id from {{ ref("dim_campaigns") }} where is_sent),
    actual_cte as (select campaign_id from {{ ref("fct_campaign_performance") }})

    {{ differing_rows() }}
