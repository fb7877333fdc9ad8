"""Who runs in benchmarks/databases.py, and how: each reads the table `orders` into a DuckDB file of its own.

The peers live in environments of their own in .bench/, made when first needed from peers/*.txt.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".bench"
FILE = "local.duckdb"
# No telemetry: on a closed network it waits. Bytecode, as an installed program has it.
ENVIRONMENT = os.environ | {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "INGESTR_DISABLE_TELEMETRY": "true",
    "SLING_DISABLE_TELEMETRY": "true",
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True)
class Contestant:
    """A program, and what of its DuckDB file should be the table."""

    name: str
    call: Callable[[str, Path, str], list[str]]  # the command for a URL, a folder (FILE is in it), and full or new
    landed: str
    peer: str = ""  # its requirements: peers/<peer>.txt; none: this environment

    @property
    def label(self) -> str:
        """Name and pinned version."""
        pins = (HERE / "peers" / f"{self.peer}.txt").read_text() if self.peer else "=="
        return f"{self.name} {re.search(r'==(.*)', pins).group(1)}".strip()

    def install(self) -> None:
        """Makes the environment if it is missing or its requirements have changed; raises CalledProcessError."""
        folder, requirements = CACHE / self.peer, HERE / "peers" / f"{self.peer}.txt"
        done = folder / requirements.name
        if self.peer and not (done.exists() and done.read_text() == requirements.read_text()):
            print(f"installing {self.peer}", file=sys.stderr, flush=True)
            venv.create(folder, clear=True, with_pip=True)
            subprocess.run([folder / "bin/pip", "install", "-qq", "-r", requirements], check=True)
            subprocess.run([folder / "bin/python", "-m", "compileall", "-qq", folder / "lib"])  # some is for Python 2
            shutil.copy(requirements, done)


def _scanner(url: str, folder: Path, task: str) -> list[str]:
    return [sys.executable, f"{HERE}/peers/postgres_scanner.py", url, f"{folder}/{FILE}", task]


def _catchment(streams: str, url: str, folder: Path, task: str) -> list[str]:
    bench = "SOURCES__DATABASES__BENCH__"
    settings = [f"{bench}CREDENTIALS={url}", f"{bench}STREAMS={streams}", "DBT_TARGET=local", f"WAREHOUSE_DIR={folder}"]
    return ["env", f"PYTHONPATH={HERE.parent}", *settings, sys.executable, "-m", "ingestion", "run", "bench"]


def _dlt(backend: str, url: str, folder: Path, task: str) -> list[str]:
    return [f"{CACHE}/dlt/bin/python", f"{HERE}/peers/dlt_sql_table.py", url, f"{folder}/{FILE}", backend, task]


def _ingestr(url: str, folder: Path, task: str) -> list[str]:
    ends = ["--source-uri", url, "--source-table", "public.orders", "--dest-uri", f"duckdb:///{folder}/{FILE}"]
    keys = ["--dest-table", "main.orders", "--primary-key", "id", "--incremental-key", "updated_at"]
    strategy = ["--incremental-strategy", "replace" if task == "full" else "merge"]
    return [f"{CACHE}/ingestr/bin/ingestr", "ingest", "--yes", "--progress", "log", *ends, *keys, *strategy]


def _sling(url: str, folder: Path, task: str) -> list[str]:
    """With DuckDB's command line and its httpfs where sling, which would download them, looks for them."""
    packages = next((CACHE / "sling/lib").glob("python*/site-packages"))
    for extension in packages.glob("duckdb_extension_httpfs/extensions/*/*.duckdb_extension"):
        place = folder / ".duckdb/extensions" / extension.parent.name / "linux_amd64"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(extension, place)
    duckdb = [f"HOME={folder}", f"DUCKDB_PATH={packages}/duckdb_cli/duckdb", "DUCKDB_USE_INSTALLED_EXTENSIONS=true"]
    ends = ["--src-conn", f"{url}?sslmode=disable", "--src-stream", "public.orders"]
    ends += ["--tgt-conn", f"duckdb://{folder}/{FILE}", "--tgt-object", "main.orders"]
    mode = ["full-refresh"] if task == "full" else ["incremental", "--primary-key", "id", "--update-key", "updated_at"]
    return ["env", *duckdb, f"{packages}/sling_linux_amd64/bin/sling-linux-amd64", "run", *ends, "--mode", *mode]


def _newest(table: str, key: str, order: str) -> str:
    return f"(from {table} qualify row_number() over (partition by {key} order by {order} desc) = 1)"


RAW = _newest("raw_bench.orders", "_key", "_observed_at")
LIMIT = Contestant("postgres_scanner alone", _scanner, _newest("orders", "id", "updated_at"))
CONTESTANTS = [
    LIMIT,
    Contestant("catchment, xmin", partial(_catchment, "{}"), RAW),
    Contestant("catchment, cursor", partial(_catchment, '{"orders": {"cursor": "updated_at"}}'), RAW),
    Contestant("sling", _sling, "main.orders", "sling"),
    Contestant("ingestr", _ingestr, "main.orders", "ingestr"),
    Contestant("dlt, connectorx", partial(_dlt, "connectorx"), "raw.orders", "dlt"),
    Contestant("dlt, default", partial(_dlt, "sqlalchemy"), "raw.orders", "dlt"),
]
