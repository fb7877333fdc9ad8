with
    images as (select * from {{ ref("int_images__present") }}),
    places as (select * from {{ ref("int_image_places__named") }}),
    claims as (select * from {{ ref("int_claims__unioned") }}),
    devices as (select * from {{ ref("dim_devices") }}),
    -- By the name that it has in its system, unless several systems have one of that
    -- name.
    devices_cte as (
        select
            substr(device_id, length(source_system) + 2) as device_name,
            min(device_id) as device_id
        from devices
        group by substr(device_id, length(source_system) + 2)
        having count(*) = 1
    ),
    known_cte as (
        select
            places.image_id,
            places.file_path,
            claims.claim_number,
            coalesce(named_devices.device_id, claimed_devices.device_id) as device_id
        from places
        left join claims on places.claim_number = claims.claim_number
        left join
            devices_cte as named_devices
            on places.device_name = named_devices.device_name
        left join
            devices_cte as claimed_devices
            on claims.device_name = claimed_devices.device_name
    ),
    linked_cte as (
        select
            image_id,
            min_by(
                device_id, case when device_id is not null then file_path end
            ) as device_id,
            min_by(
                claim_number, case when claim_number is not null then file_path end
            ) as claim_number
        from known_cte
        group by image_id
    ),
    final_cte as (
        select
            images.image_id,
            linked_cte.device_id,
            linked_cte.claim_number,
            images.first_path,
            images.image_format,
            images.status,
            images.reason,
            images.camera_make,
            images.camera_model,
            images.software,
            images.taken_local_time,
            images.file_count,
            images.size_bytes,
            images.width_pixels,
            images.height_pixels,
            images.frame_count,
            images.perceptual_hash,
            images.latitude_degrees,
            images.longitude_degrees,
            images.taken_date,
            images.taken_at
        from images
        left join linked_cte on images.image_id = linked_cte.image_id
    )

select *
from final_cte
