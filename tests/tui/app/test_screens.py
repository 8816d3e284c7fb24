"""The main screens, as text, cell by cell: what they showed when somebody last looked and found it good. The guest is
assembled by us, so no compiler's new version moves an address.

HARTVISOR_UPDATE_SCREENS=1 writes them anew; look at the difference before you commit it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from .support import NARROW, WIDE, Desk, glass
from .test_opening import hartvisor

EXPECTED = Path(__file__).parent / "screens"
IS_WRITTEN = os.environ.get("HARTVISOR_UPDATE_SCREENS") == "1"

LINE_NUMBER = re.compile(r"(\.py):\d+")
"""Where a handler lies in our own source: its line moves with every edit, so it is shown as N."""

PROGRAM = """
_start: la sp, stack
 la t0, handler
 csrw stvec, t0
 li s0, 42
 csrw sscratch, s0
 la a1, cell
again: ld a2, 0(a1)
 addi a2, a2, 1
 sd a2, 0(a1)
 jal count
 sfence.vma
 csrr a3, sscratch
 j again
count: addi sp, sp, -16
 sd ra, 8(sp)
 addi s1, s1, 1
 ld ra, 8(sp)
 addi sp, sp, 16
 ret
handler: csrr t1, scause
 j handler
 .balign 4096
cell: .dword 7
 .space 4096
stack: .dword 0
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("guest")
    (folder / "demo.s").write_text(PROGRAM, encoding="utf-8")
    done = hartvisor("asm", "demo.s", "-o", "demo.elf", folder=folder)
    assert done.returncode == 0, done.stderr
    return str(folder / "demo.elf")


SCREENS = {
    "card": ("t", "t", "1"),
    "walk": ("t", "t", "3"),
    "registers": ("t", "t", "4"),
    "code": ("t", "t", "5"),
    "exits": ("t", "t", "2", "z"),
    "devices": ("t", "t", "8"),
    "memory": ("t", "t", "9"),
    "help": ("1", "?"),
}

PATIENCE = 20.0
"""Seconds in which a busy host may lay a screen out."""


def as_text(rows: list[str]) -> str:
    """Row by row."""
    return "\n".join(LINE_NUMBER.sub(r"\1:N", row).rstrip() for row in rows) + "\n"


async def compare(name: str, desk: Desk) -> None:
    path = EXPECTED / f"{name}.txt"
    if IS_WRITTEN:
        await asyncio.sleep(1.0)
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_text(desk.screen_text()), encoding="utf-8")
    wanted = path.read_text(encoding="utf-8")
    end = time.monotonic() + PATIENCE
    while as_text(desk.screen_text()) != wanted and time.monotonic() < end:
        await asyncio.sleep(0.1)
    assert as_text(desk.screen_text()) == wanted


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(technique: str, screen: str, guest: str) -> None:
    async def test(desk: Desk) -> None:
        for key in SCREENS[screen]:
            await desk.press(key)
        await compare(f"{screen}-{technique}", desk)

    glass(test, guest, technique=technique, size=NARROW, append=None)


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
def test_all_panels_side_by_side(technique: str, guest: str) -> None:
    async def test(desk: Desk) -> None:
        # The console in place of the list of VMs, which tells how fast the guest was.
        await desk.ui("t", "t", "6", "]", "8", "1")
        await compare(f"wide-{technique}", desk)

    glass(test, guest, technique=technique, size=WIDE, append=None)
