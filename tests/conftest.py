"""What every run shares: missing oracles are named at its end, or stop it at its start where they are required."""

from __future__ import annotations

import pytest

from tests import oracles


def pytest_configure() -> None:
    missing = oracles.missing_oracles()
    if missing and oracles.are_required():
        raise pytest.UsageError("\n  ".join(["missing oracles, which HARTVISOR_REQUIRE_ORACLES requires:", *missing]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = oracles.missing_oracles()
    if missing:
        terminalreporter.section("missing oracles (their tests were skipped)")
        for line in missing:
            terminalreporter.write_line(line)
