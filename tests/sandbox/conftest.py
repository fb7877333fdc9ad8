"""One small sandbox for the tests that only read; tests that change something make their own."""

from pathlib import Path

import pytest

import sandbox
from sandbox.company import CLOCK, Company

SCALE = 0.02


@pytest.fixture(scope="session")
def company() -> Company:
    """A small company at the first clock, in memory."""
    return Company(1, SCALE).run(CLOCK)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def options(root):
    """A small sandbox that runs for the whole session."""
    with sandbox.running(root=root, scale=SCALE, seed=1) as options:
        yield options
