with
    deals as ({{ current_state(source("hubspot", "deals")) }}),
    final_cte as (
        select
            deal_id,
            nullif(pipeline_id, '') as pipeline_id,
            nullif(stage_id, '') as stage_id,
            nullif(owner_id, '') as owner_id,
            {{ clean_text("deal_name") }} as deal_name,
            lower({{ clean_text("deal_type") }}) as deal_type,
            {{
                currency_code(
                    "coalesce(nullif(currency, ''), '"
                    ~ var("hubspot_currency")
                    ~ "')"
                )
            }} as currency_code,
            custom_properties,
            cast(amount as decimal(18, 4)) as amount,
            stage_probability,
            is_closed,
            is_won,
            cast(entered_at as timestamp) as entered_at,
            cast(closed_at as timestamp) as closed_at,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from deals
    )

select *
from final_cte
