-- Won and lost, as our stages have it, is what HubSpot says of the deal, unless the
-- deal was read before its last change of stage.
select deals.deal_id, deals.stage_name, portal_deals.is_closed, portal_deals.is_won
from {{ ref("fct_deals") }} as deals
inner join
    {{ ref("stg_hubspot__deals") }} as portal_deals
    on deals.source_system = 'hubspot'
    and deals.source_deal_id = portal_deals.deal_id
inner join
    {{ ref("fct_deal_stage_intervals") }} as present_stages
    on deals.deal_id = present_stages.deal_id
    and present_stages.is_open_interval
where
    portal_deals.updated_at >= present_stages.entered_at
    and (deals.is_won <> portal_deals.is_won or deals.is_open = portal_deals.is_closed)
