-- Every file that could be opened is a file of one image.
with
    expected_cte as (
        select file_id as image_id, count(*) as file_count
        from {{ ref("stg_images__files") }}
        where file_id is not null
        group by file_id
    ),
    actual_cte as (select image_id, file_count from {{ ref("dim_images") }})

    {{ differing_rows() }}
