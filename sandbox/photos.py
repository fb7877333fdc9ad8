"""Photos of machines and of what is broken on them: what each shows, where and when it was taken, and which are alike.

On purpose: a photo of one claim comes again in another customer's, smaller, compressed once more or turned; a file is
there under two names; some are no pictures. A scene is drawn from its name alone, and looks like no other one.
"""

import io
import random
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from PIL.ExifTags import GPS, IFD, Base

from sandbox.claims import Claim
from sandbox.files import put
from sandbox.simulation import Row, Simulation

SIZE = (320, 240)
CAMERAS = [("Apple", "iPhone 15"), ("samsung", "SM-S921B"), ("Canon", "EOS R10"), None]
FORMATS = {"jpg": "jpeg", "png": "png", "webp": "webp", "gif": "gif"}
TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
OFFSETS = {"GB": 1, "US": -4, "JP": 9}  # hours from UTC in summer; elsewhere 2
AGAIN = [{"size": (240, 180), "quality": 50}, {"quality": 30}, {"turn": 6, "quality": 60}]  # how a photo comes again


@dataclass(frozen=True)
class Picture:
    """A file in images/. `scene` is what it shows; `turn` is the EXIF orientation that sets its pixels upright."""

    path: str
    scene: str
    device: str | None = None
    claim: str | None = None
    size: tuple[int, int] = SIZE
    quality: int = 80
    turn: int = 1
    frames: int = 1
    taken_at: datetime | None = None
    camera: tuple[str, str] | None = None
    place: tuple[float, float] | None = None

    @property
    def format(self) -> str:
        """By its name."""
        return FORMATS[self.path.rpartition(".")[2]]

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file."""
        first, *others = [_draw(self.scene + "'" * number, self.size) for number in range(self.frames)]
        if self.turn > 1:
            first = first.transpose(TURNED[self.turn])
        out, options = io.BytesIO(), {"append_images": others, "save_all": True} if others else {}
        first.save(out, self.format, quality=self.quality, exif=self._exif(), **options)
        return out.getvalue()

    def _exif(self) -> Image.Exif:
        exif = Image.Exif()
        if self.turn > 1:
            exif[Base.Orientation] = self.turn
        if self.camera:
            exif[Base.Make], exif[Base.Model] = self.camera
        if self.taken_at:
            details, offset = exif.get_ifd(IFD.Exif), self.taken_at.isoformat()[19:]
            details[Base.DateTimeOriginal] = f"{self.taken_at:%Y:%m:%d %H:%M:%S}"
            if offset:
                details[Base.OffsetTimeOriginal] = offset
        if self.place:
            exif.get_ifd(IFD.GPSInfo).update({
                GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (self.place[0], 0.0, 0.0),
                GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (self.place[1], 0.0, 0.0),
            })  # fmt: skip
        return exif

    def truth(self) -> Row:
        """What can be read from the file; times are the camera's own, and UTC where it tells how far it is off."""
        size, at = self.size[::-1] if self.turn in (6, 8) else self.size, self.taken_at
        return {
            "status": "read", "format": self.format, "width": size[0], "height": size[1], "orientation": self.turn,
            "frames": self.frames, "taken_local": at and at.replace(tzinfo=None).isoformat(),
            "taken_at": at.astimezone(UTC).isoformat() if at and at.tzinfo else None, "camera": self.camera,
            "place": self.place, "device": self.device, "claim": self.claim,
        }  # fmt: skip


class Photos:
    """The photos that there are on the company's today."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"photos {company.seed}")
        self.all = [
            Picture("other/moving.gif", "moving", frames=3), Picture("other/card.webp", "card", quality=60),
            Picture("other/logo.png", "logo", size=(160, 120)),
        ]  # fmt: skip
        self.of_claim: dict[Claim, list[Picture]] = {}
        self._taken: dict[str, int] = defaultdict(int)  # by device

    def day(self) -> None:
        """Lives through the company's today; the day's claims are there already."""
        for device in self.company.devices.devices:
            if "machine" in device.kind and device.device_id not in self._taken:
                for _ in range(2):  # when it was installed
                    self._of_device(device.device_id)
        for claim in self.company.claims.closed:
            self._of_device(claim.device.device_id)
        for claim in self.company.claims.opened:
            self.of_claim[claim] = list(self._of_claim(claim))
            self.all += self.of_claim[claim]

    def _of_device(self, device_id: str) -> None:
        self._taken[device_id] += 1
        path = f"devices/{device_id}/IMG_{self._taken[device_id]:04d}.jpg"
        self.all.append(self._take(path, device=device_id))

    def _of_claim(self, claim: Claim) -> list[Picture]:
        """One to three photos; of some claims, the first is another customer's, or the second an exact copy."""
        number, folder = len(self.of_claim) + 1, f"claims/{claim.number}"
        about = {"claim": claim.number, "device": claim.device.device_id}
        endings = [self.rng.choices(list(FORMATS), [85, 5, 8, 2])[0] for _ in range(self.rng.randint(0, 2))]
        pictures = [
            self._take(f"{folder}/{n}.{ending}", claim.person.country, **about)
            for n, ending in enumerate(["jpg", *endings], 1)
        ]
        others = [old for old in self.of_claim if old.customer_id != claim.customer_id]
        if number % 5 == 0 and others:
            original = self.of_claim[self.rng.choice(others)][0]
            how = {"turn": 1, "taken_at": None, "camera": None, "place": None} | AGAIN[number // 5 % len(AGAIN)]
            pictures[0] = replace(original, path=f"{folder}/1.jpg", **about, **how)
        if number % 7 == 0:
            original = next(old for old in self.all if old.device == claim.device.device_id)
            pictures[1:2] = [replace(original, path=f"{folder}/2.jpg", **about)]
        return pictures

    def _take(self, path: str, country: str = "DE", **about: Any) -> Picture:
        rng, camera = self.rng, self.rng.choice(CAMERAS)
        at = datetime.combine(self.company.today, time(rng.randrange(7, 18), rng.randrange(60), rng.randrange(60)))
        if camera and camera[0] != "Canon":  # which does not know how far its clock is off
            at = at.replace(tzinfo=timezone(timedelta(hours=OFFSETS.get(country, 2))))
        is_phone = camera is not None and at.tzinfo is not None
        return Picture(
            path, f"{self.company.seed} {path}", size=(160, 120) if path.endswith("png") else SIZE,
            turn=rng.choice([1, 1, 3, 6, 8]) if is_phone and path.endswith("jpg") else 1,
            taken_at=at if camera and not path.endswith("gif") else None, camera=camera,
            place=(round(rng.uniform(45, 58), 4), round(rng.uniform(0, 18), 4)) if is_phone else None, **about,
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Writes the pictures that are not there; a picture never changes."""
        for picture in self.all:
            if not (folder / picture.path).exists():
                put(folder / picture.path, picture.content)
        for path, (content, _) in BROKEN.items():
            put(folder / path, content)

    def truth(self) -> dict[str, Row]:
        """images.json: by path, what can be read from it; `same_as` are files of the same bytes, `near` those that show
        the same otherwise."""
        scenes: dict[str, list[Picture]] = defaultdict(list)
        for picture in self.all:
            scenes[picture.scene].append(picture)
        found = {}
        for picture in self.all:
            alike = [other for other in scenes[picture.scene] if other is not picture]
            same = [other for other in alike if replace(other, **_identity(picture)) == picture]
            found[picture.path] = picture.truth() | {
                "same_as": [other.path for other in same],
                "near": [other.path for other in alike if other not in same],
            }
        return {"images.json": found | {path: {"status": status} for path, (_, status) in BROKEN.items()}}


def _identity(picture: Picture) -> Row:
    """What two files of the same bytes may differ in."""
    return {"path": picture.path, "device": picture.device, "claim": picture.claim}


def _draw(scene: str, size: tuple[int, int]) -> Image.Image:
    """A blurred background with a few things on it, as the scene's name has it."""
    rng = random.Random(scene)
    picture = Image.frombytes("RGB", (5, 4), rng.randbytes(60)).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(7):
        x, y, width, height = (rng.randrange(*span) for span in ((-40, 260), (-40, 200), (30, 160), (30, 130)))
        rng.choice([pen.rectangle, pen.ellipse])((x, y, x + width, y + height), fill=tuple(rng.randbytes(3)))
    return picture if size == SIZE else picture.resize(size)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BROKEN = {  # and what becomes of it
    "other/cut.jpg": (Picture("cut.jpg", "cut").content[:3000], "broken"),
    "other/text.jpg": (b"The photo was too large, we send it by post.\n", "unsupported"),
    "other/empty.png": (b"", "empty"),
    "other/bomb.png": (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(bytes(180_001))) + _chunk(b"IEND", b""), "refused",
    ),
}  # fmt: skip
