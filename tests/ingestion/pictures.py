"""Pictures for tests: made-up scenes, a different one for each seed, and small files that say that they are huge."""

import io
import random
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageDraw

HEIC = Path(__file__).with_name("scene_1.heic").read_bytes()
"""`scene(1)`, lying on its side and to be turned, as pillow-heif writes it; pi-heif only reads."""


def scene(seed, size=(320, 240)):
    """A picture with soft light and hard edges, as photos have them."""
    chance = random.Random(seed)
    light = Image.new("RGB", (7, 5))
    light.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(35)])
    picture = light.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = chance.randrange(size[0]), chance.randrange(size[1])
        width, height = (chance.randrange(side // 16, side // 3) for side in size)
        shape = chance.choice([draw.rectangle, draw.ellipse])
        shape((x, y, x + width, y + height), fill=tuple(chance.randrange(256) for _ in range(3)))
    return picture


def saved(picture, image_format, others=(), **options):
    """The bytes of a picture, and of others as further frames, as a file."""
    file = io.BytesIO()
    first, *more = [frame.copy() for frame in (picture, *others)]  # a picture remembers how it was saved before
    first.save(file, image_format, **({"save_all": True, "append_images": more} if more else {}), **options)
    return file.getvalue()


def exif(main=(), photo=(), place=()):
    """EXIF of tags and values, by directory."""
    tags = Image.Exif()
    tags.update(main)
    tags.get_ifd(0x8769).update(photo)
    tags.get_ifd(0x8825).update(place)
    return tags


def png(width, height):
    """A file of less than 400 bytes that says it has so many pixels; as those below."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def gif(*sizes):
    """A frame for each size."""
    head = b"GIF89a" + struct.pack("<HHBBB", *sizes[0], 0x80, 0, 0) + bytes(6)
    frames = [b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x4c\x01\0" for size in sizes]
    return head + b"".join(frames) + b";"


def tiff(*sizes):
    """A frame for each size."""
    data = b"II*\0\x08\0\0\0"
    for number, (width, height) in enumerate(sizes, 1):
        tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
        tags += [(278, 4, height), (279, 4, 1)]
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, kind, 1, v) for t, kind, v in tags)
        data += struct.pack("<I", len(data) + 4 if number < len(sizes) else 0)
    return data


def webp(width, height):
    def chunk(kind, data):
        return kind + struct.pack("<I", len(data)) + data

    canvas = bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + chunk(b"VP8X", canvas) + chunk(b"VP8L", b"\x2f" + bytes(9))
    return chunk(b"RIFF", body)


def bmp(width, height):
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def jpeg(width, height):
    data = saved(Image.new("L", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def heic(width, height, brand=b"heic", codec=b"hvc1", configuration=b"hvcC\1\1`" + bytes(20)):
    """ISO/IEC 23008-12: an item of a codec, with its configuration and its size."""

    def box(kind, *parts):
        data = b"".join(parts)
        return struct.pack(">I", len(data) + 8) + kind + data

    def full(kind, *parts, version=0):
        return box(kind, struct.pack(">I", version << 24), *parts)

    configuration = box(configuration[:4], configuration[4:])
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    meta = [
        full(b"hdlr", bytes(4), b"pict", bytes(13)),
        full(b"pitm", b"\0\1"),
        full(b"iloc", b"\x44\0\0\1\0\1\0\0\0\1", struct.pack(">II", 0, 16)),
        full(b"iinf", b"\0\1", full(b"infe", b"\0\1\0\0", codec, b"\0", version=2)),
        box(
            b"iprp",
            box(b"ipco", configuration, full(b"ispe", struct.pack(">II", width, height))),
            full(b"ipma", b"\0\0\0\1\0\1\2\x81\2"),
        ),
    ]
    return head + full(b"meta", *meta)


def avif(width, height):
    return heic(width, height, b"avif", b"av01", b"av1C\x81\0\x0c\0")


BOMBS = {
    "png": png(50_000, 50_000),
    "gif": gif((60_000, 60_000)),
    "tiff": tiff((50_000, 50_000)),
    "webp": webp(16_000_000, 16_000),
    "bmp": bmp(40_000, 40_000),
    "jpeg": jpeg(65_000, 65_000),
    "heic": heic(60_000, 60_000),
    "avif": avif(16_000, 16_000),
}
