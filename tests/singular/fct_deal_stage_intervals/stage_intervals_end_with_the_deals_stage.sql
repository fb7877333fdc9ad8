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
    )

    {{ differing_rows() }}
