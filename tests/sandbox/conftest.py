"""One small sandbox for the tests that only read; tests that change something make their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import sandbox
from sandbox.company import CLOCK, Company

SCALE = 0.02


@pytest.fixture(scope="session")
def company() -> Company:
    """A small company at the first clock, in memory."""
    return Company(1, SCALE).run(CLOCK)


@pytest.fixture(scope="session")
def bigger() -> Company:
    """Big enough for everything that is rare."""
    return Company(1, 0.3).run(CLOCK)


def write_files(company: Company, folder: Path) -> None:
    """What people send and keep: workbooks, documents and photos."""
    company.stock.write(folder / "spreadsheets")
    company.papers.write(folder / "documents")
    company.photos.write(folder / "images")


@pytest.fixture(scope="session")
def written(bigger) -> Iterator[Path]:
    """A folder with these files of the bigger company."""
    with new_folder() as folder:
        write_files(bigger, folder)
        yield folder


@pytest.fixture(scope="session")
def root():
    with new_folder() as folder:
        yield folder


@pytest.fixture
def new_root():
    with new_folder() as folder:
        yield folder


@contextmanager
def new_folder() -> Iterator[Path]:
    """Not pytest's tmp_path: as root, PostgreSQL runs as another user, whom a second pytest would lock out of it."""
    with TemporaryDirectory(prefix="sandbox-") as folder:
        yield Path(folder).resolve()


@pytest.fixture(scope="session")
def options(root):
    """A small sandbox that runs for the whole session."""
    with sandbox.running(root=root, scale=SCALE, seed=1) as options:
        yield options


@pytest.fixture(scope="session")
def made():
    """A root whose data is made; nothing runs in it."""
    with new_folder() as folder:
        with sandbox.running(["shop"], root=folder, scale=SCALE):
            pass
        yield folder
