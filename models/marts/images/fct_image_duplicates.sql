{%- set distance = var("image_duplicate_distance") -%}
{%- set bands = distance + 2 -%}
with
    images as (select * from {{ ref("dim_images") }}),
    hashes_cte as (
        select distinct perceptual_hash from images where perceptual_hash is not null
    ),
    -- Two hashes that differ in no more bits than `distance` have the same bits in at
    -- least two of two bands more than that: only those that have are compared.
    bands_cte as (
        {% for band in range(bands) %}
            {%- set start = band * 64 // bands %}
            {%- set end = (band + 1) * 64 // bands %}
            select
                perceptual_hash,
                {{ band }} as band,
                {{ bits("perceptual_hash", start, end - start) }} as band_bits
            from hashes_cte
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),
    keys_cte as (
        select
            bands_cte.perceptual_hash,
            bands_cte.band,
            bands_cte.band_bits,
            other_bands.band as other_band,
            other_bands.band_bits as other_band_bits
        from bands_cte
        inner join
            bands_cte as other_bands
            on bands_cte.perceptual_hash = other_bands.perceptual_hash
            and bands_cte.band < other_bands.band
    ),
    near_cte as (
        select distinct
            keys_cte.perceptual_hash,
            other_keys.perceptual_hash as other_hash,
            {{
                hamming_distance(
                    "keys_cte.perceptual_hash", "other_keys.perceptual_hash"
                )
            }} as hamming_distance
        from keys_cte
        inner join
            keys_cte as other_keys
            on keys_cte.band = other_keys.band
            and keys_cte.band_bits = other_keys.band_bits
            and keys_cte.other_band = other_keys.other_band
            and keys_cte.other_band_bits = other_keys.other_band_bits
            and keys_cte.perceptual_hash <= other_keys.perceptual_hash
        where
            {{
                hamming_distance(
                    "keys_cte.perceptual_hash", "other_keys.perceptual_hash"
                )
            }} <= {{ distance }}
    ),
    final_cte as (
        select
            least(images.image_id, other_images.image_id) as image_id,
            greatest(images.image_id, other_images.image_id) as other_image_id,
            cast(near_cte.hamming_distance as bigint) as hamming_distance,
            images.device_id = other_images.device_id as is_same_device,
            images.claim_number = other_images.claim_number as is_same_claim
        from near_cte
        inner join images on near_cte.perceptual_hash = images.perceptual_hash
        inner join
            images as other_images on near_cte.other_hash = other_images.perceptual_hash
        where
            near_cte.perceptual_hash < near_cte.other_hash
            or images.image_id < other_images.image_id
    )

select *
from final_cte
