with
    pages as (select * from {{ ref("stg_documents__pages") }}),
    matches_cte as (
        {% for kind, pattern in var("mention_patterns").items() %}
            select
                document_id,
                '{{ kind }}' as mention_kind,
                {{ match_rows("page_text", pattern) }} as mention_text,
                page_number
            from pages
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    cleaned_cte as (
        select
            document_id,
            mention_kind,
            case
                when mention_kind = 'email'
                then {{ clean_email("mention_text") }}
                else {{ clean_text("mention_text") }}
            end as mention_text,
            page_number
        from matches_cte
    ),
    final_cte as (
        select
            document_id,
            mention_kind,
            mention_text,
            count(*) as mention_count,
            min(page_number) as first_page_number
        from cleaned_cte
        where mention_text is not null
        group by document_id, mention_kind, mention_text
    )

select *
from final_cte
