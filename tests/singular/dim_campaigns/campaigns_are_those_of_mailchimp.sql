-- Mailchimp's present campaigns are all there and not deleted; all others are.
with
    expected_cte as (select campaign_id from {{ ref("stg_mailchimp__campaigns") }}),
    actual_cte as (
        select source_campaign_id as campaign_id
        from {{ ref("dim_campaigns") }}
        where source_system = 'mailchimp' and not is_deleted
    )

    {{ differing_rows() }}
