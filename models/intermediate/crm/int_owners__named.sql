with
    owners as (select * from {{ ref("stg_hubspot__owners") }}),
    final_cte as (
        select
            owner_id,
            coalesce(
                {{
                    clean_text(
                        "coalesce(first_name, '') || ' ' || coalesce(last_name, '')"
                    )
                }},
                email
            ) as owner_name,
            email
        from owners
    )

select *
from final_cte
