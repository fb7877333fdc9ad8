"""One small sandbox for the tests that only read; tests that change something make their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import sandbox
from sandbox.company import CLOCK, Company

SCALE, BIGGER = 0.02, 0.3


@pytest.fixture(scope="session")
def company() -> Company:
    """A small company at the first clock, in memory."""
    return Company(1, SCALE).run(CLOCK)


@pytest.fixture(scope="session")
def bigger() -> Company:
    """Big enough for everything that is rare."""
    return Company(1, BIGGER).run(CLOCK)


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
def root(made):
    with copied(made) as folder:
        yield folder


@pytest.fixture
def new_root():
    with new_folder() as folder:
        yield folder


@pytest.fixture
def made_root(made):
    """A root of the test's own whose data is made already, as `made`: to copy it takes a fraction of the time."""
    with copied(made) as folder:
        yield folder


@contextmanager
def new_folder() -> Iterator[Path]:
    """Not pytest's tmp_path: as root, PostgreSQL runs as another user, whom a second pytest would lock out of it."""
    with TemporaryDirectory(prefix="sandbox-") as folder:
        yield Path(folder).resolve()


@contextmanager
def copied(made: Path) -> Iterator[Path]:
    with new_folder() as folder:
        subprocess.run(["cp", "-a", f"{made}/.", folder], check=True)  # with the owner, whom PostgreSQL runs as
        yield folder


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
