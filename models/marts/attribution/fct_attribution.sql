with
    orders as (select * from {{ ref("fct_orders") }}),
    order_items as (select * from {{ ref("fct_order_items") }}),
    touches as (select * from {{ ref("int_attribution_touches__found") }}),
    revenues_cte as (
        select
            order_id,
            sum(net_amount_base - refunded_amount_base) as revenue_amount_base,
            bool_or(net_amount_base is null) as is_rate_missing
        from order_items
        group by order_id
    ),
    conversions_cte as (
        select
            orders.order_id,
            orders.person_id,
            orders.base_currency_code,
            case
                when revenues_cte.order_id is null
                then 0
                else revenues_cte.revenue_amount_base
            end as revenue_amount_base,
            coalesce(revenues_cte.is_rate_missing, false) as is_rate_missing,
            orders.order_date as converted_date,
            {{ moment("orders.ordered_at", "orders.order_date") }} as converted_at
        from orders
        left join revenues_cte on orders.order_id = revenues_cte.order_id
        where orders.is_sale
    ),
    reached_cte as (
        select
            conversions_cte.order_id,
            touches.*,
            bool_or(not touches.is_direct) over (
                partition by conversions_cte.order_id
            ) as has_others
        from conversions_cte
        inner join touches on conversions_cte.person_id = touches.person_id
        where
            {{
                microseconds_between(
                    "touches.touched_at", "conversions_cte.converted_at"
                )
            }}
            between 0 and cast({{ var("attribution_lookback_days") }} as bigint)
            * 86400000000
    ),
    numbered_cte as (
        select
            *,
            row_number() over (
                partition by order_id
                order by touched_at nulls first, touch_id nulls first
            ) as touch_number,
            count(*) over (partition by order_id) as touch_count,
            max(touched_at) over (partition by order_id) as last_touched_at
        from reached_cte
        where not (is_direct and has_others)
    ),
    models_cte as ({{ attribution_models() }}),
    -- Weights are whole numbers, so that what is split by them is the same on every
    -- engine. What a touch weighs by its age is as of the last touch, to a millionth of
    -- it: between touches that makes no difference, and one of them never weighs
    -- nothing.
    weighted_cte as (
        select
            conversions_cte.*,
            models_cte.attribution_model,
            numbered_cte.touch_id,
            coalesce(numbered_cte.touch_type, '(none)') as touch_type,
            coalesce(numbered_cte.channel, '(unattributed)') as channel,
            coalesce(numbered_cte.source, '(unattributed)') as source,
            coalesce(numbered_cte.medium, '(unattributed)') as medium,
            coalesce(numbered_cte.campaign_name, '(unattributed)') as campaign_name,
            coalesce(numbered_cte.touch_number, 0) as touch_number,
            coalesce(numbered_cte.touch_count, 0) as touch_count,
            numbered_cte.touched_at,
            case
                when numbered_cte.touch_id is null
                then 1
                when models_cte.attribution_model = 'first'
                then case when numbered_cte.touch_number = 1 then 1 else 0 end
                when models_cte.attribution_model = 'last'
                then
                    case
                        when numbered_cte.touch_number = numbered_cte.touch_count
                        then 1
                        else 0
                    end
                when models_cte.attribution_model = 'time_decay'
                then
                    cast(
                        {{
                            in_millionths(
                                "power(cast(2 as double), -1 * cast("
                                ~ microseconds_between(
                                    "numbered_cte.touched_at",
                                    "numbered_cte.last_touched_at",
                                )
                                ~ " as double) / 86400000000 / "
                                ~ var("attribution_half_life_days")
                                ~ ")"
                            )
                        }} as bigint
                    )
                -- 2/5 for the first and the last, 1/5 for all between them.
                when
                    models_cte.attribution_model = 'position'
                    and numbered_cte.touch_count > 2
                    and numbered_cte.touch_number in (1, numbered_cte.touch_count)
                then 2 * (numbered_cte.touch_count - 2)
                else 1
            end as weight
        from conversions_cte
        cross join models_cte
        left join numbered_cte on conversions_cte.order_id = numbered_cte.order_id
    ),
    summed_cte as (
        select
            *,
            cast(
                sum(weight) over (
                    partition by order_id, attribution_model
                    order by touch_number nulls first
                    rows between unbounded preceding and current row
                ) as bigint
            ) as weight_so_far,
            cast(
                sum(weight) over (partition by order_id, attribution_model) as bigint
            ) as total_weight,
            cast(abs(revenue_amount_base) as decimal(18, 4)) as absolute_amount
        from weighted_cte
    ),
    -- A credit is what the sum of credits grows by, each sum rounded: so no credit is
    -- negative, and together they are the revenue.
    credited_cte as (
        select
            *,
            {{ money_share("absolute_amount", "weight_so_far", "total_weight") }}
            - {{
                money_share(
                    "absolute_amount", "(weight_so_far - weight)", "total_weight"
                )
            }} as credited_amount
        from summed_cte
    ),
    final_cte as (
        select
            order_id,
            person_id,
            touch_id,
            attribution_model,
            touch_type,
            channel,
            source,
            medium,
            campaign_name,
            base_currency_code,
            cast(touch_number as bigint) as touch_number,
            cast(touch_count as bigint) as touch_count,
            {{ ratio("weight", "total_weight") }} as credit_share,
            cast(
                case
                    when revenue_amount_base < 0
                    then -1 * credited_amount
                    else credited_amount
                end as decimal(18, 4)
            ) as credited_revenue_amount_base,
            is_rate_missing,
            converted_date,
            touched_at,
            converted_at
        from credited_cte
    )

select *
from final_cte
