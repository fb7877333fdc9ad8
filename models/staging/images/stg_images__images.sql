with
    images as ({{ current_state(source("images", "images")) }}),
    final_cte as (
        select
            image_id,
            format as image_format,
            status,
            reason,
            {{ clean_text("camera_make") }} as camera_make,
            {{ clean_text("camera_model") }} as camera_model,
            {{ clean_text("software") }} as software,
            taken_local as taken_local_time,
            case when orientation >= 5 then height else width end as width_pixels,
            case when orientation >= 5 then width else height end as height_pixels,
            frame_count,
            perceptual_hash,
            latitude as latitude_degrees,
            longitude as longitude_degrees,
            cast(substr(taken_local, 1, 10) as date) as taken_date,
            cast(taken_at as timestamp) as taken_at,
            cast(_observed_at as timestamp) as observed_at,
            _dlt_load_id as load_id
        from images
    )

select *
from final_cte
