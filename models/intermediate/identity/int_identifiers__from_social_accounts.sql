with
    posts as (select * from {{ ref("int_social_posts__unioned") }}),
    handles_cte as (
        select
            source_system,
            source_author_id,
            {{ social_handle("author_handle") }} as handle,
            published_at
        from posts
        where relation <> 'own'
    ),
    final_cte as (
        select
            'social_account' as record_type,
            source_system || ':' || source_author_id as record_id,
            'social_handle' as identifier_type,
            handle as identifier_value,
            source_system,
            true as is_held,
            {{ since_ever("min(published_at)") }} as first_seen_at,
            cast(null as timestamp) as last_seen_at
        from handles_cte
        where handle is not null and source_author_id is not null
        group by source_system, source_author_id, handle
    )

select *
from final_cte
