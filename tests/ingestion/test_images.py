"""images: what pictures are and what their EXIF says, which of them look alike, and none that harms us."""

import io
import itertools
from pathlib import Path

import numpy
import pytest
from pictures import BOMBS, HEIC, exif, gif, png, saved, scene, tiff
from PIL import Image, ImageEnhance
from PIL.ExifTags import Base

from ingestion.parsers import Unreadable, image
from ingestion.parsers.image import parse, perceptual_hash
from ingestion.untrusted import Child

NEAR = 8


def look(data, **options):
    """(row, None), or (row, the status and reason why it is not read)."""
    rows = parse(data, "a name", **options)
    stream, row = next(rows)
    assert stream == "images"
    with pytest.raises(StopIteration) as end:
        next(rows)
    failure = end.value.value
    return row, failure and (failure.status, failure.reason)


def hash_of(data):
    row, failure = look(data)
    assert not failure
    return row["perceptual_hash"]


def distance(one, other):
    assert -(2**63) <= one < 2**63
    return ((one ^ other) % 2**64).bit_count()


def scanned(picture):
    """In black and white, by dots."""
    return picture.convert("1")


def deep(picture):
    """With 65,536 levels of grey."""
    return Image.fromarray(numpy.asarray(picture.convert("L")).astype("uint16") * 257)


SCENE = scene(1)
OTHERS = [scene(seed) for seed in (2, 3)]
FILES = {
    "jpeg": saved(SCENE, "JPEG"),
    "jpeg progressive": saved(SCENE, "JPEG", progressive=True, quality=60),
    "jpeg cmyk": saved(SCENE.convert("CMYK"), "JPEG"),
    "jpeg grey": saved(SCENE.convert("L"), "JPEG"),
    "jpeg of two frames": saved(SCENE, "MPO", OTHERS[:1]),
    "png": saved(SCENE, "PNG"),
    "png palette": saved(SCENE.quantize(64), "PNG"),
    "png grey of 16 bits": saved(deep(SCENE), "PNG"),
    "gif animated": saved(SCENE, "GIF", OTHERS),
    "webp": saved(SCENE, "WEBP"),
    "webp animated": saved(SCENE, "WEBP", OTHERS),
    "tiff": saved(SCENE, "TIFF"),
    "tiff of one bit": saved(scanned(SCENE), "TIFF", compression="group4"),
    "tiff of floats": saved(SCENE.convert("F"), "TIFF"),
    "tiff lab": saved(Image.merge("LAB", [SCENE.convert("L")] * 3), "TIFF"),
    "tiff of three frames": saved(SCENE, "TIFF", OTHERS, compression="tiff_lzw"),
    "bmp": saved(SCENE, "BMP"),
    "avif": saved(SCENE, "AVIF"),
    "heic": HEIC,
}
FRAMES = {"two": 2, "three": 3, "animated": 3}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_read_and_looks_alike_in_all(name):
    row, failure = look(FILES[name])
    assert not failure
    assert (row["format"], row["width"], row["height"]) == (name.split()[0], 320, 240)
    assert row["frame_count"] == next((count for word, count in FRAMES.items() if word in name), 1)
    assert distance(row["perceptual_hash"], hash_of(FILES["png"])) <= NEAR


def test_what_is_transparent_is_white():
    """Whatever colour it has beneath: here black."""
    mask = scene(2).convert("L").point(lambda level: 255 * (level > 110))
    black, white = (Image.composite(SCENE, Image.new("RGB", SCENE.size, color), mask) for color in ("black", "white"))
    expected = perceptual_hash(white)
    assert distance(expected, perceptual_hash(black)) > NEAR < distance(expected, perceptual_hash(SCENE))
    black.putalpha(mask)
    files = [
        saved(black, "PNG"),
        saved(black.convert("LA"), "PNG"),
        saved(black.quantize(64), "PNG"),
        saved(black, "GIF"),
    ]
    for data in [*files, saved(black, "WEBP", lossless=True, exact=True)]:
        assert distance(hash_of(data), expected) <= NEAR


TURNS = [None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE", "ROTATE_270"]


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_pictures_are_hashed_upright_and_measured_as_they_are_stored(image_format):
    for orientation, turn in enumerate(TURNS, 1):
        stored = SCENE.transpose(Image.Transpose[turn]) if turn else SCENE
        row, _ = look(saved(stored, image_format, exif=exif({Base.Orientation: orientation})))
        assert (row["orientation"], row["width"], row["height"]) == (orientation, *stored.size)
        assert distance(row["perceptual_hash"], hash_of(FILES["png"])) <= NEAR


def test_exif_tells_camera_and_time():
    main = {Base.Make: "Catch\0junk", Base.Model: " Ment 1 ", Base.Software: "Gr..~e"}
    photo = {
        Base.DateTimeOriginal: "2026:03:29 03:30:00",
        Base.SubsecTimeOriginal: "25",
        Base.OffsetTimeOriginal: "+02:00",
    }
    for image_format in ("JPEG", "WEBP", "TIFF", "AVIF"):
        data = saved(SCENE, image_format, exif=exif(main, photo)).replace(b"Gr..~e", "Grö~e".encode())
        row, _ = look(data)
        assert (row["camera_make"], row["camera_model"], row["software"]) == ("Catch", "Ment 1", "Grö~e")
        if image_format != "TIFF":  # in which Pillow writes no times
            assert row["taken_local"] == "2026-03-29T03:30:00.250000"
            assert row["taken_at"] == "2026-03-29T01:30:00.250000+00:00"
    assert look(HEIC)[0]["camera_make"] == "Catchment"
    assert (
        look(saved(SCENE, "JPEG", exif=exif({Base.Make: "Gr..e"})).replace(b"..", b"\xf6\xdf"))[0]["camera_make"]
        == "Größe"
    )


def test_an_orientation_that_is_none_is_upright():
    assert look(FILES["jpeg"])[0]["orientation"] == 1
    for orientation in (0, 9, 65535):
        assert look(saved(SCENE, "JPEG", exif=exif({Base.Orientation: orientation})))[0]["orientation"] == 1


@pytest.mark.parametrize(
    ("told", "offset", "local", "utc"),
    [
        ("2026:03:29 03:30:00", None, "2026-03-29T03:30:00", None),
        ("2026:03:29 03:30:00", "   :  ", "2026-03-29T03:30:00", None),
        ("2026:03:29 03:30:00", "+99:00", "2026-03-29T03:30:00", None),
        ("2026:03:29 03:30:00", ".5", "2026-03-29T03:30:00", None),
        ("2026:03:29 03:30:00", "-05:30", "2026-03-29T03:30:00", "2026-03-29T09:00:00+00:00"),
        ("2026-03-29 03:30:00", "Z", "2026-03-29T03:30:00", "2026-03-29T03:30:00+00:00"),
        ("0001:01:01 00:00:00", "+10:00", "0001-01-01T00:00:00", None),
        ("0000:00:00 00:00:00", "+02:00", None, None),
        ("2026:02:30 10:00:00", "+02:00", None, None),
        ("    :  :     :  :  ", None, None, None),
        ("yesterday", None, None, None),
        ("", None, None, None),
    ],
)
def test_a_time_is_one_or_null(told, offset, local, utc):
    photo = {Base.DateTimeOriginal: told} | ({Base.OffsetTimeOriginal: offset} if offset else {})
    row, _ = look(saved(SCENE, "JPEG", exif=exif(photo=photo)))
    assert (row["taken_local"], row["taken_at"]) == (local, utc)


def test_damaged_exif_harms_nothing_else():
    data = saved(SCENE, "JPEG", exif=exif({Base.Make: "Catchment"}, {Base.DateTimeOriginal: "2026:03:29 03:30:00"}))
    at, end = data.index(b"Exif"), data.index(b"\xff\xdb")
    expected = hash_of(data)
    for place in range(at + 6, end):
        for byte in (0, 255):
            row, failure = look(data[:place] + bytes([byte]) + data[place + 1 :], is_gps_kept=True)
            assert not failure and (row["width"], row["perceptual_hash"]) == (320, expected), place


BERLIN = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}


@pytest.mark.parametrize(
    ("place", "latitude", "longitude"),
    [
        (BERLIN, 52.52, 13.405),
        (BERLIN | {1: "S", 3: "W"}, -52.52, -13.405),
        (BERLIN | {1: "X"}, None, None),
        (BERLIN | {2: (91.0, 0.0, 0.0)}, None, None),
        (BERLIN | {4: (181.0, 0.0, 0.0)}, None, None),
        (BERLIN | {2: (0.0, 0.0, 0.0)}, 0.0, 13.405),
        (BERLIN | {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, None, None),
        ({2: BERLIN[2], 4: BERLIN[4]}, None, None),
        ({}, None, None),
    ],
)
def test_a_place_is_kept_only_if_one_asks_for_it(place, latitude, longitude):
    data = saved(SCENE, "JPEG", exif=exif(place=place))
    row, _ = look(data, is_gps_kept=True)
    assert (row["latitude"], row["longitude"]) == (latitude, longitude)
    assert not {"latitude", "longitude"} & look(data)[0].keys()


def test_a_place_with_a_denominator_of_0_is_none():
    data = saved(SCENE, "JPEG", exif=exif(place=BERLIN))
    at = data.index(b"\0\0\0\x1f\0\0\0\x01")  # 31 minutes
    row, failure = look(data[: at + 4] + bytes(4) + data[at + 8 :], is_gps_kept=True)
    assert (row["latitude"], row["longitude"], failure) == (None, None, None)


def alike(picture):
    """What looks the same."""
    width, height = picture.size
    yield picture.resize((width // 3, height // 3))
    yield picture.resize((width * 2, height))
    yield Image.open(io.BytesIO(saved(picture, "JPEG", quality=25)))
    yield Image.open(io.BytesIO(saved(picture.resize((width // 2, height // 2)), "WEBP", quality=40)))
    yield ImageEnhance.Brightness(picture).enhance(0.85)
    yield ImageEnhance.Brightness(picture).enhance(1.1)
    yield ImageEnhance.Contrast(picture).enhance(0.8)
    yield picture.convert("L")


def test_what_looks_alike_is_near_and_what_does_not_is_not():
    hashes = []
    for seed in range(20):
        picture = scene(seed)
        hashes.append(perceptual_hash(picture))
        for number, other in enumerate(alike(picture)):
            assert distance(hashes[-1], perceptual_hash(other)) <= NEAR, (seed, number)
        assert distance(hashes[-1], perceptual_hash(picture.rotate(180))) > NEAR, seed
    for one, other in itertools.combinations(hashes, 2):
        assert distance(one, other) > NEAR


def edge(at):
    picture = Image.new("RGB", (300, 200), "white")
    picture.paste((20, 20, 20), (0, 0, at, 200))
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (300, 200), "black"),
        Image.new("1", (300, 200)),
        Image.new("F", (300, 200), 7.5),
        Image.new("F", (300, 200), float("nan")),
        Image.new("RGBA", (300, 200), (10, 20, 30, 0)),
        Image.effect_noise((300, 200), 4),
        Image.linear_gradient("L"),
        edge(150),
        edge(90),
        Image.new("RGB", (1, 1)),
    ],
)
def test_a_picture_with_hardly_anything_in_it_has_no_hash(picture):
    for image_format in ("TIFF",) if picture.mode == "F" else ("PNG", "JPEG") if picture.mode != "RGBA" else ("PNG",):
        assert hash_of(saved(picture, image_format)) is None


@pytest.mark.parametrize("name", [name for name in FILES if "frames" not in name])
def test_a_picture_that_is_cut_off_is_broken(name):
    for share in (0.5, 0.9):
        row, failure = look(FILES[name][: int(len(FILES[name]) * share)])
        assert failure[0] == "broken" and failure[1].startswith(f"it begins as {name.split()[0]} does"), share
        assert "perceptual_hash" not in row


def test_what_can_be_told_of_a_broken_picture_is():
    data = saved(SCENE, "JPEG", exif=exif({Base.Make: "Catchment"}))
    row, failure = look(data[:5000])
    assert failure[0] == "broken"
    assert (row["width"], row["height"], row["camera_make"]) == (320, 240, "Catchment")


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"BMW sent us 20 pictures on Monday",
        b"%PDF-1.7",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(99),
        b"\x89PNG\n\x1a\n",
        b"II*",
        b"x",
    ],
)
def test_what_is_no_picture_is_unsupported(data):
    with pytest.raises(Unreadable) as error:
        list(parse(data, "picture.jpg"))
    assert error.value.status == "unsupported" and "jpeg, png, gif" in error.value.reason


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    child = Child("ingestion.parsers.image", {})
    try:
        for kind, data in BOMBS.items():
            assert len(data) < 400
            with (tmp_path / "rows").open("wb") as rows:
                said = child.parse(data, kind, rows)
            assert (said["status"], "50 million" in said["reason"] or "50000000" in said["reason"]) == ("refused", True)
        status = Path(f"/proc/{child.process.pid}/status").read_text()
        (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
        assert peak < 200_000  # kB
    finally:
        child.close()


def test_pixels_are_counted_in_every_frame_and_frames_are(monkeypatch):
    monkeypatch.setattr(image, "MEMBERS", 20)
    assert look(png(8_000, 6_251))[1] == ("refused", "it has 8,000 by 6,251 pixels; 50 million are allowed")
    assert look(png(8_000, 6_250))[1][0] == "broken"
    for build in (gif, tiff):
        assert look(build((2, 2), (60_000, 60_000)))[1][1] == "it has 60,000 by 60,000 pixels; 50 million are allowed"
        assert look(build(*[(2, 2)] * 20))[0]["frame_count"] == 20
        assert look(build(*[(2, 2)] * 21))[1] == ("refused", "it has more than 20 frames")


def test_a_panorama_whose_second_frame_was_cut_off_is_read():
    data = FILES["jpeg of two frames"]
    row, failure = look(data[: data.index(b"\xff\xd9") + 2])
    assert (row["frame_count"], failure) == (1, None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "photos" / "devices").mkdir(parents=True)
    monkeypatch.setenv("SOURCES__IMAGES__FOLDER", str(tmp_path / "photos"))
    return tmp_path / "photos"


def test_one_content_in_two_places_is_one_image(folder, warehouse, monkeypatch):
    photo = exif({Base.Make: "Catchment"}, {Base.DateTimeOriginal: "2026:03:29 03:30:00"}, BERLIN)
    (folder / "a.jpg").write_bytes(saved(SCENE, "JPEG", exif=photo))
    (folder / "devices" / "b").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "broken.png").write_bytes(FILES["png"][:1000])
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.png").touch()
    ledger = warehouse.run("images")
    assert (ledger["files"]["rows_loaded"], ledger["images"]["rows_loaded"]) == (5, 3)
    columns = "status, format, width, camera_make, taken_local, latitude, perceptual_hash is not null"
    assert warehouse.query(f"select {columns} from raw_images.images order by status") == [
        ("broken", "png", 320, None, None, None, False),
        ("read", "jpeg", 320, "Catchment", "2026-03-29T03:30:00", None, True),
        ("unsupported", None, None, None, None, None, False),
    ]
    (folder / "a.jpg").unlink()
    monkeypatch.setenv("SOURCES__IMAGES__IS_GPS_KEPT", "true")
    ledger = warehouse.run("images")
    assert (ledger["files"]["rows_marked_gone"], ledger["images"]["rows_read"]) == (1, 0)
    warehouse.run("images", full=True)
    places = "select latitude, longitude from raw_images.images where latitude is not null"
    assert warehouse.query(places) == [(52.52, 13.405)]
