"""Pictures: what they are, what their EXIF says, and a hash by which near-duplicates are found.

The format is what the first bytes say, never the name. What a picture says of its size is looked at before any pixel is
decoded, and of several frames only the first one is. EXIF is that of CIPA DC-008 (Exif 3.0): its tags are the numbers.
"""

import io
import itertools
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy
import pi_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ingestion.parsers import MEMBERS, PIXELS, Unreadable

Image.MAX_IMAGE_PIXELS = PIXELS // 2  # Pillow itself, where it allocates before it opens, refuses twice as many
AvifImagePlugin.DEFAULT_MAX_THREADS = pi_heif.options.DECODE_THREADS = 1  # each takes memory of its own

FORMATS = {
    "jpeg": (JpegImagePlugin.jpeg_factory, rb"\xff\xd8\xff"),
    "png": (PngImagePlugin.PngImageFile, rb"\x89PNG\r\n\x1a\n"),
    "gif": (GifImagePlugin.GifImageFile, rb"GIF8[79]a"),
    "webp": (WebPImagePlugin.WebPImageFile, rb"RIFF....WEBP"),
    "tiff": (TiffImagePlugin.TiffImageFile, rb"II[*+]\0|MM\0[*+]"),
    "bmp": (BmpImagePlugin.BmpImageFile, rb"BM.{12}[^\0]\0\0\0"),
    "avif": (AvifImagePlugin.AvifImageFile, rb"....ftyp(....){0,50}?avi[fs]"),
    "heic": (pi_heif.HeifImageFile, rb"....ftyp(....){0,50}?(he[iv][cxms]|mif1|msf1)"),
}
"""Format -> what opens it, and how it begins; of the last two, one of these brands is in the file's list of brands."""

ORIENTATION, MAKE, MODEL, SOFTWARE, PHOTO, GPS = 0x0112, 0x010F, 0x0110, 0x0131, 0x8769, 0x8825
TAKEN, SUBSECOND, OFFSET = 0x9003, 0x9291, 0x9011
LATITUDE, LONGITUDE = (1, 2, b"NS", 90), (3, 4, b"EW", 180)
"""In the directory GPS: tags of the reference and the value, what the reference may be, and the largest value."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation -> what makes it upright."""

SIDE, LOW = 32, 8
"""Pixels that are hashed, and frequencies that are taken, in each direction."""

STEP, FEWEST = 32.0, 24
"""Frequencies are counted in steps that noise does not take, and a hash has at least so many bits that are 1: 32 but
for those frequencies that are the median itself, which is 0 where a picture has hardly anything in it."""

COSINES = numpy.cos(math.pi / SIDE * numpy.outer(numpy.arange(LOW), numpy.arange(SIDE) + 0.5))
"""The discrete cosine transform (type II) as a matrix, its lowest frequencies only."""


def parse(data: bytes, name: str, is_gps_kept: bool = False) -> Iterator[tuple[str, dict]]:
    """The one row of a picture, of the stream `images`; with where it was taken only if that is to be kept.

    Of a picture that is damaged or too large, what can be told without its pixels.
    """
    kind = next((kind for kind, (_, begin) in FORMATS.items() if re.match(begin, data[:212], re.DOTALL)), None)
    if not kind:
        raise Unreadable("unsupported", f"it is no picture in one of the formats {', '.join(FORMATS)}")
    row, failure = {"format": kind}, None
    try:
        with warnings.catch_warnings(action="ignore"):
            _read(data, kind, is_gps_kept, row)
    except MemoryError:
        raise
    except Unreadable as error:
        failure = error
    except Image.DecompressionBombError as error:
        failure = Unreadable("refused", str(error))
    except Exception as error:  # whatever a damaged picture makes a library do
        failure = Unreadable("broken", f"it begins as {kind} does, but can't be read: {error}")
    yield "images", row
    return failure


def _read(data: bytes, kind: str, is_gps_kept: bool, row: dict[str, Any]) -> None:
    """Adds to the row what there is, first what needs no pixels."""
    opener = FORMATS[kind][0]
    image = opener(io.BytesIO(data))
    # Pillow takes a TIFF's size and its pixels as turned.
    row["width"], row["height"] = (image.tag_v2[256], image.tag_v2[257]) if kind == "tiff" else image.size
    row["frame_count"] = _frame_count(_sizes(image, data, kind))
    about, photo = _directory(image), _directory(image, PHOTO)
    row["orientation"] = _orientation(image)
    row["camera_make"], row["camera_model"], row["software"] = (_text(about, tag) for tag in (MAKE, MODEL, SOFTWARE))
    row["taken_local"], row["taken_at"] = _moment(*(_text(photo, tag) for tag in (TAKEN, SUBSECOND, OFFSET)))
    if is_gps_kept:
        row["latitude"], row["longitude"] = _place(_directory(image, GPS))
    row["perceptual_hash"] = perceptual_hash(image)


def _sizes(image: Image.Image, data: bytes, kind: str) -> Iterator[tuple[int, int]]:
    """Width and height of each frame, by what it says of itself."""
    if kind == "gif":
        return _gif_sizes(data)
    if kind == "heic":
        return (frame.size for frame in pi_heif.open_heif(io.BytesIO(data)))
    if kind in ("jpeg", "tiff"):
        return _sought_sizes(FORMATS[kind][0](io.BytesIO(data)))
    return itertools.repeat(image.size, getattr(image, "n_frames", 1))  # the others lie within the first one


def _sought_sizes(image: Image.Image) -> Iterator[tuple[int, int]]:
    """Of frames with heads of their own; ends where one can't be found, as when others have cut it off."""
    for number in itertools.count():
        try:
            image.seek(number)
        except Exception:  # of a library that reads what is damaged
            return
        yield image.size


def _gif_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """By GIF89a, appendix A; raises EOFError where a block is cut off."""
    at = 13 + _colors(data[10])
    try:
        while at < len(data) and data[at] in b"!,":
            if data[at] == ord(","):
                yield int.from_bytes(data[at + 5 : at + 7], "little"), int.from_bytes(data[at + 7 : at + 9], "little")
                at += 11 + _colors(data[at + 9])
            else:
                at += 2
            while data[at]:  # the length of the next sub-block
                at += data[at] + 1
            at += 1
    except IndexError:
        raise EOFError("it ends within a frame") from None


def _colors(flags: int) -> int:
    """Bytes of the table of colours that may come next."""
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def _frame_count(sizes: Iterator[tuple[int, int]]) -> int:
    """How many there are; raises Unreadable for too many, and for one that is too large."""
    count = 0
    for count, (width, height) in enumerate(sizes, 1):
        if width * height > PIXELS:
            raise Unreadable("refused", f"it has {width:,} by {height:,} pixels; {PIXELS // 10**6} million are allowed")
        if count > MEMBERS:
            raise Unreadable("refused", f"it has more than {MEMBERS:,} frames")
    return count


def _directory(image: Image.Image, number: int = 0) -> Mapping[int, Any]:
    """The tags of an EXIF directory, or the main one; none where there is none, or it is damaged."""
    try:
        exif = image.getexif()
        return exif.get_ifd(number) if number else exif
    except Exception:  # as above
        return {}


def _value(tags: Mapping[int, Any], tag: int) -> Any:
    try:
        return tags.get(tag)
    except Exception:  # as above
        return None


def _text(tags: Mapping[int, Any], tag: int) -> str | None:
    """A text, which ends at its first NUL; EXIF is ASCII, but many write UTF-8."""
    value = _value(tags, tag)
    raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
    if not isinstance(raw, bytes):
        return None
    raw = raw.partition(b"\0")[0].strip()
    try:
        return raw.decode() or None
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, which is upright, where none is told or it is none."""
    value = _value(_directory(image), ORIENTATION)
    return int(value) if isinstance(value, int | float) and value in UPRIGHT else 1


def _moment(local: str | None, subsecond: str | None, offset: str | None) -> tuple[str | None, str | None]:
    """The camera's own time, as ISO 8601 without an offset, and the same in UTC, where the offset is told."""
    found = re.fullmatch(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)", local or "")
    if not found:
        return None, None
    year, month, day, time = found.groups()
    fraction = re.match(r"\d*", subsecond or "").group()[:6]
    try:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{time}.{fraction:0<6}")
    except ValueError:
        return None, None
    try:
        is_offset = re.fullmatch(r"Z|[+-]\d\d:\d\d", offset or "")
        taken_at = datetime.fromisoformat(f"{moment.isoformat()}{offset}").astimezone(UTC) if is_offset else None
    except (ValueError, OverflowError):
        taken_at = None
    return moment.isoformat(), taken_at and taken_at.isoformat()


def _place(tags: Mapping[int, Any]) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees, north and east positive; none of them if one makes no sense, or both are 0."""
    latitude, longitude = _degrees(tags, 1, "NS", 90), _degrees(tags, 3, "EW", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(tags: Mapping[int, Any], tag: int, sides: str, most: int) -> float | None:
    side = _text(tags, tag)
    try:
        degrees, minutes, seconds = map(float, _value(tags, tag + 1))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if side not in tuple(sides) or not 0 <= value <= most:
        return None
    return round(-value if side == sides[1] else value, 7)


def perceptual_hash(image: Image.Image) -> int | None:
    """64 bits as a signed integer, of which few differ between pictures that look alike: which of the lowest
    frequencies of the upright picture, in SIDE by SIDE levels of grey, are above their median.

    None for a picture of one colour, of one edge or of a shade, which would be near to any other such.
    """
    frequencies = numpy.rint(COSINES @ _levels(image) @ COSINES.T / STEP)
    bits = frequencies > numpy.median(frequencies)
    return int.from_bytes(numpy.packbits(bits).tobytes(), "big", signed=True) if bits.sum() >= FEWEST else None


def _levels(image: Image.Image) -> numpy.ndarray:
    image.draft("L", (8 * SIDE, 8 * SIDE))  # of a JPEG no more is decoded than is needed
    image.load()
    grey = _grey(image)
    small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    if (orientation := _orientation(image)) in UPRIGHT:
        small = small.transpose(UPRIGHT[orientation])
    levels = numpy.asarray(small, float)
    if grey.mode != "F":
        return levels
    darkest, lightest = grey.getextrema()
    return (levels - darkest) * 255 / ((lightest - darkest) or 1)


def _grey(image: Image.Image) -> Image.Image:
    """In 256 levels of grey, or as numbers (F) where it has more; white where it is transparent."""
    if image.mode.startswith(("I", "F")):
        return image.convert("F")
    if image.mode == "LAB":
        return image.getchannel("L")
    if not image.has_transparency_data:
        return image.convert("L")
    image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
    white = Image.new("L", image.size, 255)
    white.paste(image.convert("L"), mask=image.getchannel("A"))
    return white
