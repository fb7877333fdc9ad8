"""How the sandbox's files are written."""

import io
import re
import zipfile
from pathlib import Path


def put(path: Path, content: bytes) -> None:
    """Writes a file that is new or has changed, in one stroke; one that has not keeps its time of change."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def settled(archive: bytes) -> bytes:
    """A zip archive without the hour at which it was written: of its members, and in a workbook's properties."""
    hour = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        return zipped({name: hour.sub(b"2026-01-01T00:00:00Z", old.read(name)) for name in old.namelist()})


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive, its members dated 1980; ods wants its type first, as it is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            how = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), data, how)
    return out.getvalue()
