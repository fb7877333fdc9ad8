-- What a golden record says is what the record says that it is from; and nothing of
-- what a record of the person says is missing.
{% for attribute, column in {
    "email": "email",
    "phone": "phone",
    "name": "full_name",
    "company_name": "company_name",
    "country_code": "country_code",
    "language_code": "language_code",
}.items() %}
    {% if not loop.first %}
        union all
    {% endif %}
    select customers.person_id, '{{ attribute }}' as problem
    from {{ ref("dim_customers") }} as customers
    left join
        {{ ref("fct_customer_attributes") }} as attributes
        on customers.person_id = attributes.person_id
        and attributes.attribute = '{{ attribute }}'
        and customers.{{ attribute }}_source
        = attributes.record_type || ' ' || attributes.record_id
    where
        coalesce(customers.{{ column }}, '') <> coalesce(attributes.attribute_value, '')
        or (
            attributes.person_id is null
            and customers.person_id in (
                select person_id
                from {{ ref("fct_customer_attributes") }}
                where attribute = '{{ attribute }}'
            )
        )
{% endfor %}
