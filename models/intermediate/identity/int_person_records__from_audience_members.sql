with
    audience_members as (select * from {{ ref("int_audience_members__unioned") }}),
    final_cte as (
        select
            'audience_member' as record_type,
            contact_id as record_id,
            source_system,
            email,
            phone,
            cast(null as string) as first_name,
            cast(null as string) as last_name,
            full_name,
            cast(null as string) as company_name,
            cast(null as string) as street_line,
            cast(null as string) as postal_code,
            cast(null as string) as city,
            country_code,
            language_code,
            cast(null as date) as birth_date,
            opted_in_at as created_at,
            updated_at
        from audience_members
        where not is_deleted
    )

select *
from final_cte
