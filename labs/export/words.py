"""A check in words, for whoever shows text only."""

from __future__ import annotations

from ..judge.verdict import CheckResult, Status

MAX_OUTPUT = 4000
"""Characters of a student's own output that go into a report."""


def explain(check: CheckResult) -> str:
    """Message, first divergence, what was counted, and what the code printed."""
    lines = [] if check.status in (Status.PASS, Status.FAIL) else [f"[{check.status.value}]"]
    if check.message:
        lines.append(check.message)
    if check.first_divergence is not None:
        lines.append(f"first divergence: {check.first_divergence}")
    if check.metrics:
        lines.append(", ".join(f"{name} {value:,}" for name, value in check.metrics.items()))
    if check.output:
        lines += ["--- printed:", check.output[:MAX_OUTPUT]]
    return "\n".join(lines)
