"""Every section that a table cites exists, in the wording of the manual's newest edition (tools/manual_sections.py)."""

from __future__ import annotations

from pathlib import Path

from hartvisor.core.isa.causes import EXCEPTIONS, INTERRUPTS
from hartvisor.core.isa.instructions import INSTRUCTIONS

SECTIONS = frozenset(
    line for line in (Path(__file__).parent / "manual_sections.txt").read_text().splitlines() if line[:1] != "#")


def cited(sections: str) -> list[str]:
    """The sections of a citation, which are set apart by semicolons."""
    return [section for section in sections.split("; ") if section]


def test_tables_cite_sections_that_exist() -> None:
    sections = {section for row in INSTRUCTIONS for section in cited(row.privilege.section)}
    sections |= {section for cause in (*EXCEPTIONS, *INTERRUPTS) for section in cited(cause.section)}
    assert len(sections) > 10
    assert sections - SECTIONS == set()
