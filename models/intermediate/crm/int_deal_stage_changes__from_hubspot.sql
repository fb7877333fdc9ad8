with
    deals as (select * from {{ ref("stg_hubspot__deals") }}),
    property_history as (select * from {{ ref("stg_hubspot__property_history") }}),
    history_cte as (
        select
            deals.deal_id,
            property_history.value as stage_id,
            property_history.changed_at
        from property_history
        inner join deals on property_history.object_id = deals.deal_id
        where
            property_history.object_type = 'deals'
            and property_history.property_name = 'dealstage'
            and property_history.value is not null
    ),
    last_changes_cte as (
        select
            deal_id,
            max_by(stage_id, changed_at) as stage_id,
            max(changed_at) as changed_at
        from history_cte
        group by deal_id
    ),
    -- Where the history lags behind the deal, or could not be read, the deal tells its
    -- present stage.
    present_stages_cte as (
        select
            deals.deal_id,
            deals.stage_id,
            case
                when last_changes_cte.deal_id is null
                then deals.created_at
                else deals.updated_at
            end as changed_at
        from deals
        left join last_changes_cte on deals.deal_id = last_changes_cte.deal_id
        where
            deals.stage_id is not null
            and (
                last_changes_cte.deal_id is null
                or (
                    deals.stage_id <> last_changes_cte.stage_id
                    and deals.updated_at > last_changes_cte.changed_at
                )
            )
    ),
    changes_cte as (
        select deal_id, stage_id, changed_at
        from history_cte
        union all
        select deal_id, stage_id, changed_at
        from present_stages_cte
    ),
    final_cte as (
        select
            {{ source_key("hubspot", "deal_id") }} as deal_id,
            {{ source_key("hubspot", "stage_id") }} as stage_id,
            changed_at
        from changes_cte
    )

select *
from final_cte
