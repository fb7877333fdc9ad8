"""What the tests of the dbt project share: its manifest, and a warehouse of empty raw tables."""

import json

import pytest

from tests.copies import Copy


@pytest.fixture(scope="session")
def dbt(tmp_path_factory):
    """A copy of the project with a warehouse in which no system has loaded anything."""
    copy = Copy(tmp_path_factory.mktemp("dbt"))
    copy.make_warehouse()
    return copy


@pytest.fixture(scope="session")
def manifest(dbt):
    """dbt's manifest of the project."""
    if not (dbt.target / "manifest.json").exists():
        dbt.run("dbt parse")
    return json.loads((dbt.target / "manifest.json").read_text())


@pytest.fixture(scope="session")
def models(manifest):
    """Every model of the project, by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
