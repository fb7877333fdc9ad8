-- Whatever gets a credit happened to who ordered, within the lookback; a direct session
-- gets one beside direct ones only.
with
    touches as (select * from {{ ref("int_attribution_touches__found") }}),
    credits as (
        select
            *,
            bool_or(channel <> 'Direct') over (
                partition by order_id, attribution_model
            ) as has_others
        from {{ ref("fct_attribution") }}
        where touch_id is not null
    )

select credits.order_id, credits.touch_id
from credits
left join
    touches
    on credits.touch_id = touches.touch_id
    and credits.person_id = touches.person_id
where
    touches.touch_id is null
    or {{ microseconds_between("credits.touched_at", "credits.converted_at") }} < 0
    or {{ microseconds_between("credits.touched_at", "credits.converted_at") }}
    > cast({{ var("attribution_lookback_days") }} as bigint) * 86400000000
    or (credits.channel = 'Direct' and credits.has_others)
