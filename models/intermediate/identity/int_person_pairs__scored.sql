{%- set keys = {
    "phone": "phone",
    "name": "full_name_key || ' ' || coalesce(country_code, '')",
    "last name and place": "last_name_key || ' ' || postal_key",
    "first name and place": "first_name_key || ' ' || postal_key",
    "mailbox": "case when mailbox_surplus >= 2 then mailbox_name end",
    "street": "street_key || ' ' || postal_key",
    "birth date": "cast(birth_date as string) || ' ' || substring(last_name_key, 1, 1)",
    "birth date and first name": "cast(birth_date as string) || ' ' || substring(first_name_key, 1, 1)",
} -%}
{%- set evidences = ["name", "phone", "mailbox", "address", "birth_date", "company"] -%}

with
    records as (select * from {{ ref("int_person_records__keyed") }}),
    weights as (select * from {{ ref("identity_weights") }}),
    keys_cte as (
        {% for name, key in keys.items() %}
            select '{{ name }} ' || {{ key }} as block_key, record_type, record_id
            from records
            where {{ key }} is not null
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    -- What very many have in common is compared by what fewer have.
    blocks_cte as (
        select block_key
        from keys_cte
        group by block_key
        having count(*) between 2 and {{ var("comparison_block_records") }}
    ),
    blocked_cte as (
        select keys_cte.*
        from keys_cte
        inner join blocks_cte on keys_cte.block_key = blocks_cte.block_key
    ),
    candidates_cte as (
        select distinct
            one.record_type as left_type,
            one.record_id as left_id,
            other.record_type as right_type,
            other.record_id as right_id
        from blocked_cte as one
        inner join blocked_cte as other on one.block_key = other.block_key
        where
            one.record_type < other.record_type
            or (one.record_type = other.record_type and one.record_id < other.record_id)
    ),
    beside_cte as (
        select
            candidates_cte.*,
            {% for column in [
                "full_name_key",
                "first_name_key",
                "last_name_key",
                "company_key",
                "street_key",
                "postal_key",
                "phone",
                "email",
                "mailbox_name",
                "mail_provider",
                "mailbox_surplus",
                "birth_date",
            ] %}
                one.{{ column }} as left_{{ column }},
                other.{{ column }} as right_{{ column }},
            {% endfor %}
            greatest(one.known_at, other.known_at) as known_at
        from candidates_cte
        inner join
            records as one
            on candidates_cte.left_type = one.record_type
            and candidates_cte.left_id = one.record_id
        inner join
            records as other
            on candidates_cte.right_type = other.record_type
            and candidates_cte.right_id = other.record_id
    ),
    distances_cte as (
        select
            *,
            {{ edit_distance("left_first_name_key", "right_first_name_key") }}
            as first_name_distance,
            {{ edit_distance("left_last_name_key", "right_last_name_key") }}
            as last_name_distance,
            {{ edit_distance("left_street_key", "right_street_key") }}
            as street_distance,
            {{ edit_distance("left_mailbox_name", "right_mailbox_name") }}
            as mailbox_distance,
            {{
                edit_distance(
                    "cast(left_birth_date as string)",
                    "cast(right_birth_date as string)",
                )
            }} as birth_date_distance
        from beside_cte
    ),
    likeness_cte as (
        select
            *,
            left_first_name_key = right_first_name_key
            or first_name_distance <= case
                when length(left_first_name_key) > 5 then 2 else 1
            end as is_first_name_alike,
            left_last_name_key = right_last_name_key
            or last_name_distance <= case
                when length(left_last_name_key) > 5 then 2 else 1
            end as is_last_name_alike
        from distances_cte
    ),
    levels_cte as (
        select
            left_type,
            left_id,
            right_type,
            right_id,
            case
                when left_full_name_key is null or right_full_name_key is null
                then 'missing'
                when left_full_name_key = right_full_name_key
                then 'equal'
                when
                    left_first_name_key = right_last_name_key
                    and left_last_name_key = right_first_name_key
                then 'swapped'
                when
                    left_first_name_key is null
                    or right_first_name_key is null
                    or left_last_name_key is null
                    or right_last_name_key is null
                then 'missing'
                when is_first_name_alike and is_last_name_alike
                then 'similar'
                when
                    is_last_name_alike
                    and substring(left_first_name_key, 1, 1)
                    = substring(right_first_name_key, 1, 1)
                    and least(length(left_first_name_key), length(right_first_name_key))
                    = 1
                then 'initial'
                when is_last_name_alike
                then 'family'
                when is_first_name_alike
                then 'given'
                else 'other'
            end as name_level,
            case
                when left_phone is null or right_phone is null
                then 'missing'
                when left_phone = right_phone
                then 'equal'
                else 'other'
            end as phone_level,
            case
                when left_mailbox_name is null or right_mailbox_name is null
                then 'missing'
                when left_email = right_email
                then 'equal'
                when
                    left_mailbox_name = right_mailbox_name
                    and least(left_mailbox_surplus, right_mailbox_surplus) >= 2
                then 'equal'
                when
                    left_mail_provider = right_mail_provider
                    and (
                        substring(left_mailbox_name, 1, length(right_mailbox_name) + 1)
                        = right_mailbox_name || '.'
                        or substring(
                            right_mailbox_name, 1, length(left_mailbox_name) + 1
                        )
                        = left_mailbox_name || '.'
                    )
                then 'longer'
                when
                    left_mail_provider = right_mail_provider
                    and mailbox_distance = 1
                    -- Numbers are given out one after the other.
                    and {{ regex_replace_all("left_mailbox_name", "[^0-9]", "") }}
                    = {{ regex_replace_all("right_mailbox_name", "[^0-9]", "") }}
                    and least(left_mailbox_surplus, right_mailbox_surplus) >= 2
                then 'similar'
                else 'other'
            end as mailbox_level,
            case
                when left_postal_key is null or right_postal_key is null
                then 'missing'
                when left_postal_key <> right_postal_key
                then 'other'
                when left_street_key = right_street_key
                then 'equal'
                when
                    street_distance <= 3
                    and {{ regex_replace_all("left_street_key", "[^0-9]", "") }}
                    = {{ regex_replace_all("right_street_key", "[^0-9]", "") }}
                then 'similar'
                else 'near'
            end as address_level,
            case
                when left_birth_date is null or right_birth_date is null
                then 'missing'
                when left_birth_date = right_birth_date
                then 'equal'
                when
                    birth_date_distance = 1
                    or (
                        extract(year from left_birth_date)
                        = extract(year from right_birth_date)
                        and extract(month from left_birth_date)
                        = extract(day from right_birth_date)
                        and extract(day from left_birth_date)
                        = extract(month from right_birth_date)
                    )
                then 'similar'
                else 'other'
            end as birth_date_level,
            case
                when left_company_key = right_company_key then 'equal' else 'missing'
            end as company_level,
            known_at
        from likeness_cte
    ),
    weighed_cte as (
        select
            levels_cte.*,
            {% for evidence in evidences %}
                coalesce({{ evidence }}_weights.weight, 0) as {{ evidence }}_weight
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from levels_cte
        {% for evidence in evidences %}
            left join
                weights as {{ evidence }}_weights
                on {{ evidence }}_weights.evidence = '{{ evidence }}'
                and levels_cte.{{ evidence }}_level = {{ evidence }}_weights.level
        {% endfor %}
    ),
    final_cte as (
        select
            left_type,
            left_id,
            right_type,
            right_id,
            name_level,
            phone_level,
            mailbox_level,
            address_level,
            birth_date_level,
            company_level,
            name_weight
            + phone_weight
            + mailbox_weight
            + address_weight
            + birth_date_weight
            + company_weight as score,
            case when name_weight > 0 then 1 else 0 end
            + case when phone_weight > 0 then 1 else 0 end
            + case when mailbox_weight > 0 then 1 else 0 end
            + case when address_weight > 0 then 1 else 0 end
            + case when birth_date_weight > 0 then 1 else 0 end as evidence_count,
            known_at
        from weighed_cte
    )

select *
from final_cte
