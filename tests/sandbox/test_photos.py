"""The photos say what the truth says, and look alike where they should and nowhere else."""

import math
from itertools import combinations

import numpy
import pytest
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

COSINES = numpy.cos(math.pi / 32 * numpy.outer(numpy.arange(8), numpy.arange(32) + 0.5))


@pytest.fixture(scope="module")
def truth(bigger):
    return bigger.photos.truth()["images.json"]


@pytest.fixture(scope="module")
def folder(written):
    return written / "images"


def hashed(path):
    """Which of a picture's lowest frequencies are above their median, when it is upright."""
    with Image.open(path) as picture:
        small = ImageOps.exif_transpose(picture).convert("L").resize((32, 32), Image.Resampling.BOX)
    frequencies = COSINES @ numpy.asarray(small, float) @ COSINES.T
    return frequencies > numpy.median(frequencies)


def readable(truth):
    return {path: about for path, about in truth.items() if about["status"] == "read"}


def test_a_file_says_of_itself_what_is_true(folder, truth):
    for path, about in readable(truth).items():
        with Image.open(folder / path) as picture:
            assert picture.format.lower() == about["format"] and picture.size == (about["width"], about["height"])
            assert getattr(picture, "n_frames", 1) == about["frames"]
            exif = picture.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == about["orientation"], path
        camera = exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model)
        assert camera == (about["camera"] or (None, None))
        details, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        taken = details.get(ExifTags.Base.DateTimeOriginal)
        assert taken == (about["taken_local"] and about["taken_local"].replace("-", ":").replace("T", " "))
        assert (ExifTags.Base.OffsetTimeOriginal in details) == (about["taken_at"] is not None)
        found = [float(place[tag][0]) for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude) if place]
        assert found == pytest.approx(list(about["place"] or []))


def test_every_kind_of_photo_is_there(truth):
    photos = list(readable(truth).values())
    assert {photo["format"] for photo in photos} == {"jpeg", "png", "webp", "gif"}
    assert {photo["orientation"] for photo in photos} == {1, 3, 6, 8}
    assert any(photo["taken_at"] for photo in photos) and any(photo["place"] for photo in photos)
    assert any(photo["taken_local"] and not photo["taken_at"] for photo in photos)
    assert any(photo["camera"] is None for photo in photos)


def test_same_files_are_the_same_bytes_and_no_others(folder, truth):
    files = {path: (folder / path).read_bytes() for path in readable(truth)}
    same = {(path, other) for path, about in readable(truth).items() for other in about["same_as"]}
    assert same == {(path, other) for path in files for other in files if path != other and files[path] == files[other]}
    assert same


def test_near_ones_look_alike_and_others_do_not(folder, truth):
    hashes = {path: hashed(folder / path) for path in readable(truth)}
    near, far = 0, []
    for one, other in combinations(hashes, 2):
        distance = int((hashes[one] != hashes[other]).sum())
        if other in truth[one]["near"] + truth[one]["same_as"]:
            assert distance <= 8, (one, other)
            near += other in truth[one]["near"]
        else:
            far.append(distance)
    assert near and min(far) > 10


def test_a_photo_that_comes_again_is_another_customers(bigger, truth):
    owners = {claim.number: claim.customer_id for claim in bigger.claims.all}
    again = [(about["claim"], truth[other]["claim"]) for about in readable(truth).values() for other in about["near"]]
    assert again and all(owners[one] != owners[other] for one, other in again)


def test_photos_are_of_devices_and_claims_that_are_there(bigger, truth):
    claims = {claim.number: claim.device.device_id for claim in bigger.claims.all}
    devices = {device.device_id for device in bigger.devices.devices if "machine" in device.kind}
    for path, about in readable(truth).items():
        where, subject, *_ = path.split("/")
        if where == "claims":
            assert (about["claim"], about["device"]) == (subject, claims[subject])
        elif where == "devices":
            assert (about["claim"], about["device"]) == (None, subject)
    assert {path.split("/")[1] for path in truth if path.startswith("devices/")} == devices
    assert {path.split("/")[1] for path in truth if path.startswith("claims/")} == claims.keys()


def test_what_is_no_picture(folder, truth, monkeypatch):
    assert {path: about["status"] for path, about in truth.items() if about["status"] != "read"} == {
        "other/cut.jpg": "broken", "other/text.jpg": "unsupported", "other/empty.png": "empty",
        "other/bomb.png": "refused",
    }  # fmt: skip
    with Image.open(folder / "other/cut.jpg") as cut, pytest.raises(OSError, match="truncated"):
        cut.load()
    for name in ("text.jpg", "empty.png"):
        with pytest.raises(UnidentifiedImageError):
            Image.open(folder / "other" / name)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(folder / "other/bomb.png")
    assert (folder / "other/bomb.png").stat().st_size < 500
