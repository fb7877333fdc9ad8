{%- set values = {
    "email": "records.email",
    "phone": "records.phone",
    "name": "records.full_name",
    "company_name": "records.company_name",
    "address": "nullif(trim(coalesce(records.street_line || ' ', '') || coalesce(records.postal_code || ' ', '') || coalesce(records.city, '')), '')",
    "country_code": "records.country_code",
    "language_code": "records.language_code",
    "birth_date": "cast(records.birth_date as string)",
} -%}
{%- set identifying = {"email": "keys.email", "phone": "keys.phone"} -%}

with
    records as (select * from {{ ref("int_person_records__unioned") }}),
    keys as (select * from {{ ref("int_person_records__keyed") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    identifiers as (select * from {{ ref("int_identifiers__parted") }}),
    priorities as (select * from {{ ref("golden_record_priorities") }}),
    ambiguous_cte as (
        select distinct identifier_type, identifier_value
        from identifiers
        where is_nobody or is_shared
    ),
    attributes_cte as (
        {% for attribute, value in values.items() %}
            {% if not loop.first %}
                union all
            {% endif %}
            select
                records.record_type,
                records.record_id,
                records.source_system,
                '{{ attribute }}' as attribute,
                {{ value }} as attribute_value,
                {{ identifying.get(attribute, "cast(null as string)") }}
                as identifier_value,
                coalesce(records.updated_at, records.created_at) as changed_at
            from records
            inner join
                keys
                on records.record_type = keys.record_type
                and records.record_id = keys.record_id
        {% endfor %}
    ),
    candidates_cte as (
        select
            persons.person_id,
            attributes_cte.record_type,
            attributes_cte.record_id,
            attributes_cte.source_system,
            attributes_cte.attribute,
            attributes_cte.attribute_value,
            coalesce(priorities.priority, 99) as priority,
            ambiguous_cte.identifier_value is not null as is_ambiguous,
            attributes_cte.changed_at
        from attributes_cte
        inner join
            persons
            on attributes_cte.record_type = persons.identifier_type
            and attributes_cte.record_id = persons.identifier_value
            and persons.valid_to is null
        left join
            priorities
            on attributes_cte.attribute = priorities.attribute
            and attributes_cte.record_type = priorities.record_type
        left join
            ambiguous_cte
            on attributes_cte.attribute = ambiguous_cte.identifier_type
            and attributes_cte.identifier_value = ambiguous_cte.identifier_value
        where attributes_cte.attribute_value is not null
    ),
    ranked_cte as (
        select
            *,
            row_number() over (
                partition by person_id, attribute
                order by
                    case when is_ambiguous then 0 else 1 end desc,
                    priority nulls first,
                    changed_at desc,
                    record_type nulls first,
                    record_id nulls first
            ) as attribute_rank,
            min(attribute_value) over (partition by person_id, attribute)
            = max(attribute_value) over (
                partition by person_id, attribute
            ) as is_agreed,
            count(*) over (partition by person_id, attribute) as candidate_count
        from candidates_cte
    ),
    -- The first is first because of what the second lacks, and each other one is not
    -- because of what it lacks itself beside the first.
    compared_cte as (
        select
            *,
            {% for column in [
                "attribute_value",
                "priority",
                "is_ambiguous",
                "changed_at",
            ] %}
                case
                    when attribute_rank = 1
                    then
                        lead({{ column }}) over (
                            partition by person_id, attribute
                            order by attribute_rank nulls first
                        )
                    else
                        first_value({{ column }}) over (
                            partition by person_id, attribute
                            order by attribute_rank nulls first
                        )
                end as other_{{ column }}
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from ranked_cte
    ),
    final_cte as (
        select
            person_id,
            record_type,
            record_id,
            source_system,
            attribute,
            attribute_value,
            case
                when candidate_count = 1
                then 'only one'
                when is_agreed
                then 'all agree'
                when attribute_rank > 1 and attribute_value = other_attribute_value
                then 'same value'
                when is_ambiguous <> other_is_ambiguous
                then
                    case
                        when attribute_rank = 1 then 'not ambiguous' else 'ambiguous'
                    end
                when priority <> other_priority
                then
                    case
                        when attribute_rank = 1
                        then 'preferred record type'
                        else 'less preferred record type'
                    end
                when
                    coalesce(
                        changed_at <> other_changed_at,
                        changed_at is not null or other_changed_at is not null
                    )
                then
                    case
                        when attribute_rank = 1
                        then 'changed last'
                        else 'changed earlier'
                    end
                else
                    case
                        when attribute_rank = 1 then 'smaller key' else 'greater key'
                    end
            end as reason,
            priority,
            attribute_rank,
            is_ambiguous,
            changed_at
        from compared_cte
    )

select *
from final_cte
