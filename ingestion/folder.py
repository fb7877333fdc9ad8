"""A folder of files that other programs and people write: a local one, or one in a bucket."""

import contextlib
import dataclasses
import os
import stat
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import fsspec

from ingestion.errors import SourceError, explain, keep_secret


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a folder: its name below it, its size in bytes, what changes with its content, and when that was last
    changed (UTC), where the folder knows. `is_link`: it is a link to a folder, which is not followed. `is_unlisted`: it
    is a folder whose files nobody tells us."""

    name: str
    size: int
    changed: str
    modified_at: datetime | None = None
    is_link: bool = False
    is_unlisted: bool = False

    @property
    def label(self) -> str:
        """Its name as a text, whatever bytes the file system has."""
        return self.name.encode("utf-8", "backslashreplace").decode()


class NotAFile(Exception):
    """What has the name of a file is none to be read: a link out of the folder, a pipe, a device."""


class Folder:
    """A local folder, or one in a bucket: any URL that fsspec knows, with fsspec's options for it in `storage`."""

    def __init__(self, location: str, option: str, storage: dict[str, Any] | None = None) -> None:
        keep_secret(str(value) for name, value in (storage or {}).items() if name not in ("endpoint_url", "anon"))
        if password := urlsplit(location).password:
            keep_secret([password, unquote(password)])
        self.location, self.option = location, option
        self.is_local = "://" not in location or location.startswith("file://")
        try:
            self.system, self.root = fsspec.core.url_to_fs(location, **(storage or {}))
        except Exception as error:  # each file system has exceptions of its own
            raise SourceError(f"{option} is {location}: {explain(error)}") from error

    def files(self) -> list[File]:
        """The files below it, in order of their names; those whose name begins with . or _ are not meant for us. Links
        to folders are not followed: they may lead in circles."""
        try:
            found = self._local() if self.is_local else self._remote()
        except Exception as error:  # as above
            raise SourceError(f"can't list {self.location}: {explain(error)}. Correct {self.option}") from error
        if not found and not self.system.exists(self.root):
            raise SourceError(f"there is no folder {self.location}: correct {self.option}")
        kept = [file for file in found if not any(part[:1] in (".", "_") for part in file.name.split("/"))]
        return sorted(kept, key=lambda file: file.name)

    def _local(self) -> list[File]:
        found, unreadable = [], []
        for folder, folders, names in os.walk(self.root, onerror=unreadable.append):
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in [*names, *links]:
                with contextlib.suppress(FileNotFoundError):  # it is gone meanwhile
                    found.append(self._file(os.path.join(folder, name), is_link=name in links))
        for error in unreadable:
            if error.filename == self.root and os.path.exists(self.root):
                raise error
        folders = [error.filename for error in unreadable if error.filename != self.root]
        return found + [self._file(folder, is_unlisted=True) for folder in folders]

    def _file(self, path: str, **what: bool) -> File:
        try:
            status = os.stat(path)
        except OSError:  # a link to nowhere or in a circle
            status = os.lstat(path)
        changed = datetime.fromtimestamp(status.st_mtime, UTC)
        return File(os.path.relpath(path, self.root), status.st_size, str(status.st_mtime), changed, **what)

    def _remote(self) -> list[File]:
        return [
            File(
                path.removeprefix(self.root).lstrip("/"),
                info["size"],
                str(info.get("ETag") or info.get("mtime") or info.get("LastModified")),
                next((info[name] for name in ("LastModified", "mtime", "created") if _is_time(info.get(name))), None),
            )
            for path, info in self.system.find(self.root, detail=True).items()
        ]

    def summary(self) -> str:
        """How much there is; raises SourceError if there is no such folder."""
        files = self.files()
        return f"{len(files):,} files, {sum(file.size for file in files) / 1e6:,.0f} MB"

    def url(self, name: str) -> str:
        """What DuckDB calls a file."""
        return f"{self.root}/{name}" if self.is_local else self.system.unstrip_protocol(f"{self.root}/{name}")

    def open(self, name: str) -> BinaryIO:
        """Opens a file to read its bytes."""
        return self.system.open(f"{self.root}/{name}", "rb")

    def open_own(self, name: str) -> BinaryIO:
        """Opens a file that others may have put there; raises NotAFile where it leads out of the folder, or is none."""
        if not self.is_local:
            return self.open(name)
        path = os.path.realpath(os.path.join(self.root, name))
        if not path.startswith(os.path.realpath(self.root) + os.sep):
            raise NotAFile("it is a link that leads out of the folder")
        # The path has no links any more; a pipe must not keep us waiting for who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotAFile("it is no regular file, but a pipe, a device or the like")
        return os.fdopen(descriptor, "rb")


def _is_time(value: Any) -> bool:
    return isinstance(value, datetime)
