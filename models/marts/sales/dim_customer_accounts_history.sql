with
    customer_versions as (select * from {{ ref("int_customer_versions__unioned") }}),
    -- A version holds until the next change, whatever that is: a new version or the
    -- deletion.
    intervals_cte as (
        select
            *,
            changed_at as valid_from,
            lead(changed_at) over (
                partition by customer_id order by changed_at nulls first
            ) as valid_to
        from customer_versions
    ),
    final_cte as (
        select
            customer_id,
            source_system,
            source_customer_id,
            email,
            email_alias_key,
            phone,
            first_name,
            last_name,
            company_name,
            country_code,
            is_business,
            has_marketing_consent,
            valid_to is null as is_current,
            created_at,
            valid_from,
            valid_to
        from intervals_cte
        where not is_gone
    )

select *
from final_cte
