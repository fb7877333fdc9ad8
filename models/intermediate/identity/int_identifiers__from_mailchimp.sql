with
    member_versions as (select * from {{ ref("int_audience_members__versioned") }}),
    audience_members as (select * from {{ ref("int_audience_members__unioned") }}),
    -- Whoever was deleted is nobody any more.
    living_versions_cte as (
        select
            member_versions.contact_id,
            member_versions.email,
            member_versions.phone,
            member_versions.social_handle,
            least(
                coalesce(audience_members.opted_in_at, member_versions.changed_at),
                member_versions.changed_at
            ) as seen_at
        from member_versions
        inner join
            audience_members on member_versions.contact_id = audience_members.contact_id
        where not member_versions.is_gone and not audience_members.is_deleted
    ),
    values_cte as (
        {% for type in ["email", "phone", "social_handle"] %}
            select
                contact_id,
                '{{ type }}' as identifier_type,
                {{ type }} as identifier_value,
                seen_at
            from living_versions_cte
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    spans_cte as (
        {{
            spans(
                "values_cte",
                ["contact_id", "identifier_type"],
                "identifier_value",
                "seen_at",
            )
        }}
    ),
    final_cte as (
        select
            'audience_member' as record_type,
            contact_id as record_id,
            identifier_type,
            identifier_value,
            'mailchimp' as source_system,
            true as is_held,
            {{ since_ever("first_seen_at") }} as first_seen_at,
            last_seen_at
        from spans_cte
    )

select *
from final_cte
