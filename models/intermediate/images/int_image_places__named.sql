with
    files as (select * from {{ ref("stg_images__files") }}),
    final_cte as (
        select
            file_path,
            file_id as image_id,
            nullif(
                {{ regex_extract("file_path", var("image_device_pattern")) }}, ''
            ) as device_name,
            nullif(
                {{ regex_extract("file_path", var("image_claim_pattern")) }}, ''
            ) as claim_number
        from files
        where file_id is not null
    )

select *
from final_cte
