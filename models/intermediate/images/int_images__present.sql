with
    images as (select * from {{ ref("stg_images__images") }}),
    files as (select * from {{ ref("stg_images__files") }}),
    places_cte as (
        select
            file_id,
            min(file_path) as first_path,
            count(*) as file_count,
            max(size_bytes) as size_bytes
        from files
        group by file_id
    ),
    final_cte as (
        select
            images.image_id,
            places_cte.first_path,
            images.image_format,
            images.status,
            images.reason,
            images.camera_make,
            images.camera_model,
            images.software,
            images.taken_local_time,
            places_cte.file_count,
            places_cte.size_bytes,
            images.width_pixels,
            images.height_pixels,
            images.frame_count,
            images.perceptual_hash,
            images.latitude_degrees,
            images.longitude_degrees,
            images.taken_date,
            images.taken_at
        from images
        inner join places_cte on images.image_id = places_cte.file_id
    )

select *
from final_cte
