{%- set levels = 5 -%}
with
    files as (select * from {{ ref("stg_documents__files") }}),
    attachments as (select * from {{ ref("stg_documents__attachments") }}),
    level_0_cte as (
        select
            file_id as document_id,
            file_path,
            cast(null as string) as mail_document_id,
            0 as attachment_level
        from files
        where file_id is not null
    ),
    {% for level in range(1, levels + 1) %}
        level_{{ level }}_cte as (
            select distinct
                attachments.attachment_id as document_id,
                level_{{ level - 1 }}_cte.file_path,
                attachments.document_id as mail_document_id,
                {{ level }} as attachment_level
            from attachments
            inner join
                level_{{ level - 1 }}_cte
                on attachments.document_id = level_{{ level - 1 }}_cte.document_id
        ),
    {% endfor %}
    final_cte as (
        {% for level in range(levels + 1) %}
            select document_id, file_path, mail_document_id, attachment_level
            from level_{{ level }}_cte
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select *
from final_cte
