"""What the tests of the dbt project share: its manifest, and a warehouse of empty raw tables."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dbt(tmp_path_factory):
    """Runs dbt on the project in a warehouse of its own, in which no system has loaded anything."""
    from ingestion.pipeline import opened
    from ingestion.systems import all_systems

    scratch = tmp_path_factory.mktemp("dbt")
    settings = {"WAREHOUSE_DIR": str(scratch), "DBT_TARGET": "sandbox"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        with opened(all_systems().values()):
            pass

    def run(*arguments, check=True):
        command = [Path(sys.executable).parent / "dbt", *arguments]
        paths = {"DBT_TARGET_PATH": str(scratch / "target"), "DBT_LOG_PATH": str(scratch / "logs")}
        result = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **settings, **paths}, capture_output=True, text=True
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    run.warehouse = scratch / "sandbox.duckdb"
    run.target = scratch / "target"
    return run


@pytest.fixture(scope="session")
def manifest(dbt):
    """dbt's manifest of the project."""
    if not (dbt.target / "manifest.json").exists():
        dbt("parse")
    return json.loads((dbt.target / "manifest.json").read_text())


@pytest.fixture(scope="session")
def models(manifest):
    """Every model of the project, by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
