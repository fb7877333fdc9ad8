"""Copies of the project, for tests that run its commands, and dbt's knowledge of its files, which all copies share.

Where dbt finds what it parsed before, it reads the files that differ; provided that the warehouse's path reads the
same, and so that is the same in all copies: `warehouse`, below the copy.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import duckdb

from ingestion.pipeline import opened
from ingestion.systems import all_systems

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ["CATCHMENT_PARSED"])  # see tests/conftest.py
LOCAL = ("DBT_", "DLT_", "SANDBOX_", "SOURCES__", "WAREHOUSE_DIR")  # what the user has set is not for copies
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(LOCAL)},
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "DBT_LOG_LEVEL_FILE": "none",  # a twelfth of dbt's time
}


def parsed() -> list[Path]:
    """Files of dbt's target folder that a copy may begin with; the first who needs them has dbt make them."""
    with (SHARED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (SHARED / "target/manifest.json").exists():
            paths = {"DBT_PROJECT_DIR": f"{SHARED}/project", "DBT_PROFILES_DIR": f"{SHARED}/project"}
            paths["DBT_TARGET_PATH"] = f"{SHARED}/target"
            subprocess.run(["dbt", "--quiet", "parse"], cwd=SHARED, env=ENVIRONMENT | paths, check=True)
    names = ["partial_parse.msgpack"]
    if (SHARED / "project").samefile(ROOT):  # not a copy, in which a test runs pytest
        names.append("manifest.json")
    return [SHARED / "target" / name for name in names]


class Copy:
    """A copy of the project in `folder`, with a warehouse and a sandbox of its own, of this scale."""

    def __init__(self, folder: Path, scale: float = 0.02) -> None:
        self.root, self.sandbox = folder / "project", folder / "sandbox"
        self.target, self.warehouse = self.root / "target", self.root / "warehouse"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(".*", "warehouse", "target", "logs"))
        shutil.copytree(ROOT / ".dlt", self.root / ".dlt", ignore=shutil.ignore_patterns("secrets.toml", ".var"))
        self.target.mkdir()
        for file in parsed():
            shutil.copy(file, self.target)
        self.environment = ENVIRONMENT | {"SANDBOX_ROOT": str(self.sandbox), "SANDBOX_SCALE": str(scale)}

    def make_warehouse(self) -> None:
        """Makes its warehouse, in which no system has loaded anything."""
        settings = {"WAREHOUSE_DIR": str(self.warehouse), "DBT_TARGET": "sandbox"}
        with mock.patch.dict(os.environ, settings), opened(all_systems().values()):
            pass

    def run(self, bash: str) -> str:
        """What a bash script prints; fails with it if the script does. Nothing that it started lives on."""
        process = subprocess.Popen(
            ["bash", "-c", bash],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, output
        return output

    def query(self, target: str, sql: str) -> list[tuple]:
        """Rows of the copy's warehouse."""
        with duckdb.connect(str(self.warehouse / f"{target}.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()
