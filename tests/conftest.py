"""For all tests: no credential of the user reaches them, and in CI a skip is a failure, since what a test needs has
to be installed there."""

import gc
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# dlt reads the user's .dlt/secrets.toml when it is imported: tests have a folder with our settings alone.
_settings = tempfile.TemporaryDirectory(prefix="catchment-dlt-")
shutil.copytree(
    Path(__file__).parents[1] / ".dlt", f"{_settings.name}/.dlt", ignore=shutil.ignore_patterns("secrets.toml")
)
os.environ["DLT_PROJECT_DIR"] = _settings.name

# What dbt parses once for all workers, and for the pytest that a test runs on a copy: see tests/copies.py.
if "CATCHMENT_PARSED" not in os.environ:
    _parsed = tempfile.TemporaryDirectory(prefix="catchment-parsed-")
    Path(_parsed.name, "project").symlink_to(Path(__file__).parents[1])
    os.environ["CATCHMENT_PARSED"] = _parsed.name

# What is imported stays, and what tests leave is little: to look through it all again takes a tenth of their time.
gc.freeze()
gc.set_threshold(100_000, 20, 50)

# A shell starts background jobs with Ctrl-C ignored, and so would be what the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run in CI if a test was skipped; its reason names what to install."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("CI") and (skipped := reporter.stats.get("skipped")):
        for report in skipped:
            reporter.write_line(f"skipped, which is a failure in CI: {report.nodeid}: {report.longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
