"""Pictures in a folder, such as service photos: size, camera, time, and a hash by which near-duplicates are found."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dlt

from ingestion.contract import contract, field
from ingestion.reading import resources
from ingestion.stream import Page, Run, State, Stream, Window
from ingestion.untrusted import FileReader, Files, Outcome


@contract
class Images:
    """One content, however many files have it; of what is no picture its status only."""

    image_id: str = field("SHA-256 of the bytes (hex).", key=True)
    format: str | None = field("jpeg, png, gif, webp, tiff, bmp, avif or heic, by what the bytes are.")
    status: str = field("read, broken, refused (it is too large) or unsupported (it is no such picture).")
    reason: str | None = field("Why it is not read, for a person.")
    width: int | None = field("Pixels by which the picture is wide, as it is stored.")
    height: int | None = field("Pixels by which it is high, as it is stored.")
    orientation: int | None = field("How it is to be turned to be upright: 1 (not at all) to 8, as EXIF numbers it.")
    frame_count: int | None = field("Frames that it has; all that follows is of the first one.")
    taken_local: str | None = field("When it was taken, by the camera's own clock (EXIF DateTimeOriginal; ISO 8601).")
    taken_at: datetime | None = field("The same in UTC, where the camera tells how far its clock is from that.")
    camera_make: str | None = field("Who made the camera.")
    camera_model: str | None = field("Which camera it is.")
    software: str | None = field("What wrote the file.")
    latitude: float | None = field("Where it was taken, degrees north; null unless the option is_gps_kept is set.")
    longitude: float | None = field("Degrees east; null unless the option is_gps_kept is set.")
    perceptual_hash: int | None = field(
        "What it looks like, upright, in 64 bits, of which few differ between pictures that look alike. Null where "
        "hardly anything is to be seen (one colour, a shade, an edge): such a picture would be near to any other such."
    )


STREAMS = [Stream("files", Files, State()), Stream("images", Images, State())]


class Reader(FileReader):
    """Reads the pictures that are new or have changed."""

    parser, main = "ingestion.parsers.image", ("images", "image_id")

    def __init__(self, folder: str, storage: dict[str, Any] | None, is_gps_kept: bool) -> None:
        super().__init__(folder, "SOURCES__IMAGES__FOLDER", storage, is_gps_kept=is_gps_kept)

    def pages(self, stream: Stream, outcome: Outcome, window: Window) -> Iterator[Page]:
        """The row of one file."""
        for page in super().pages(stream, outcome, window):
            if stream.name == "images":
                told = {"image_id": outcome.file_id, "status": outcome.status, "reason": outcome.reason}
                page.rows.objects = [row | told for row in page.rows.objects]
            yield page


@dlt.source
def images(
    folder: str = dlt.config.value,
    storage: dict[str, str] | None = None,
    is_gps_kept: bool = False,
    run: Run | None = None,
):
    """The pictures below a folder.

    `folder` is a local one or a URL, as s3://bucket/photos; `storage` are fsspec's options for it, as key and secret.
    `is_gps_kept`: where a picture was taken is kept, too; it may tell where somebody lives.
    """
    return resources(STREAMS, Reader(folder, storage, is_gps_kept), run)
