"""For all tests: in CI a skip is a failure, because what a test needs has to be installed there."""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run in CI if a test was skipped; its reason names what to install."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("CI") and (skipped := reporter.stats.get("skipped")):
        for report in skipped:
            reporter.write_line(f"skipped, which is a failure in CI: {report.nodeid}: {report.longrepr}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
