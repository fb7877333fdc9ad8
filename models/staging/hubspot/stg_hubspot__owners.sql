with
    owners as ({{ current_snapshot(source("hubspot", "owners")) }}),
    final_cte as (
        select
            owner_id,
            nullif(user_id, '') as user_id,
            {{ clean_email("email") }} as email,
            {{ clean_text("first_name") }} as first_name,
            {{ clean_text("last_name") }} as last_name,
            {{ clean_text(json_text("teams", "$[0].name")) }} as team_name,
            is_archived,
            cast(created_at as timestamp) as created_at,
            cast(updated_at as timestamp) as updated_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from owners
    )

select *
from final_cte
