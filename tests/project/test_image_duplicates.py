"""fct_image_duplicates finds every pair that is near, and no other, as if all were compared with all."""

import itertools
import random

import building
import pytest

COLUMNS = "image_id text, device_id text, claim_number text, perceptual_hash bigint"


def some_hashes(chance, distance):
    """Hashes far from each other, and near ones of each: as far away as they may be, one bit more, the sign only."""
    for _ in range(60):
        one = chance.getrandbits(64)
        yield one
        for count in {0, 1, distance, distance + 1}:
            yield one ^ sum(1 << bit for bit in chance.sample(range(64), count))
        yield one ^ 1 << 63


@pytest.mark.parametrize("distance", [0, 3, 8, 15])
def test_all_pairs_are_found_that_are_near(distance):
    chance = random.Random(distance)
    hashes = {f"{number:04d}": value for number, value in enumerate(some_hashes(chance, distance))}
    rows = [
        [image, chance.choice([None, "a", "b"]), chance.choice([None, "c"]), value - (value >> 63 << 64)]
        for image, value in hashes.items()
    ]
    chance.shuffle(rows)
    project = building.Project(
        ["marts/images/fct_image_duplicates"], "dim_images", COLUMNS, (), image_duplicate_distance=distance
    )
    project.add([*rows, ["none", None, None, None], ["zero", None, None, 0]], "run 1")
    project.build("run 1")
    devices = {image: device for image, device, *_ in rows}
    expected = [
        (one, other, (hashes[one] ^ hashes[other]).bit_count(), same(devices[one], devices[other]))
        for one, other in itertools.combinations(sorted(hashes), 2)
        if (hashes[one] ^ hashes[other]).bit_count() <= distance
    ]
    assert len(expected) > 100 or not distance
    assert [row[:4] for row in project.rows("fct_image_duplicates")] == expected


def same(one, other):
    return one == other if one and other else None
