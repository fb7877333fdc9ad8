{{
    config(
        materialized="incremental",
        unique_key=["customer_id", "business_date", "known_date"],
        pre_hook=[
            "{{ take_stock_of_days([ref('int_customer_actions__dated')], 'known_date') }}",
            "{{ doubt_changed_days() }}",
            "{{ forget_changed_days('known_date') }}",
        ],
        post_hook="{{ take_in() }}",
    )
}}
{%- set kinds = {"order": "order placed", "refund": "refund"} -%}

with
    actions as (select * from {{ ref("int_customer_actions__dated") }}),
    final_cte as (
        select
            customer_id,
            max(source_system) as source_system,
            count(case when action_kind = 'account opened' then 1 end) as opening_count,
            {% for name, kind in kinds.items() %}
                count(
                    case when action_kind = '{{ kind }}' then 1 end
                ) as {{ name }}_count,
                count(
                    case
                        when action_kind = '{{ kind }}' and amount_base is null then 1
                    end
                ) as unrated_{{ name }}_count,
            {% endfor %}
            count(case when action_kind = 'visit' then 1 end) as visit_event_count,
            {% for name, kind in kinds.items() %}
                cast(
                    coalesce(
                        sum(case when action_kind = '{{ kind }}' then amount_base end),
                        0
                    ) as decimal(18, 4)
                ) as {{ name }}_amount_base,
            {% endfor %}
            business_date,
            known_date,
            max(case when action_kind <> 'visit' then received_date end) as told_date
        from actions
        {% if is_incremental() %}
            where known_date in (select changed_day from {{ changed_days() }})
        {% endif %}
        group by customer_id, business_date, known_date
    )

select *
from final_cte
