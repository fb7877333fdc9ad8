-- Every file that could be opened is a file of one image.
with
    files_cte as (
        select file_id as image_id, count(*) as file_count
        from {{ ref("stg_images__files") }}
        where file_id is not null
        group by file_id
    ),
    images_cte as (select image_id, file_count from {{ ref("dim_images") }}),
    missing_cte as (
        select *
        from files_cte
        except
        select *
        from images_cte
    ),
    unexpected_cte as (
        select *
        from images_cte
        except
        select *
        from files_cte
    )

select 'missing' as problem, image_id, file_count
from missing_cte
union all
select 'unexpected' as problem, image_id, file_count
from unexpected_cte
