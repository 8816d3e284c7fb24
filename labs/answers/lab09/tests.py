"""Lab 9: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.paging import LOAD
from hartvisor.labs.kit.two_stage import Found, Ram, View

V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128
BASE = 0x8000_0000
ROOT, GUESTS = BASE + 0x4000, BASE + 0x8000
FULL = V | R | W | X | A | D
GIB = BASE >> 2


def view(first: bool = False, **flags: bool) -> View:
    """VS-mode on the tables at ROOT, and on GUESTS where there is a first stage."""
    return View(8 << 60 | GUESTS >> 12 if first else 0, 8 << 60 | ROOT >> 12, 1, **flags)


def ram(**gibs: int) -> Ram:
    """The second stage's entries by gibibyte; "g2" is the one at 2 GiB."""
    return Ram(BASE, 1 << 20, {ROOT + 8 * int(name[1:]): entry for name, entry in gibs.items()})


def test_users(subject: Any) -> None:
    """A page of the second stage without U is closed, whoever asks; the fault is not the guest's, and names the GPA."""
    found = subject.two_stage_translate(view(), 0x8000_0123, LOAD, False, ram(g2=GIB | FULL))
    assert found == Found(21, 0, 0x8000_0123)


def test_root(subject: Any) -> None:
    """GPAs have 41 bits."""
    memory = ram(g1026=GIB | FULL | U)
    gpa = 1026 << 30 | 0x458
    assert subject.two_stage_translate(view(), gpa, LOAD, False, memory) == Found(None, BASE + 0x458, gpa)


def test_mxr(subject: Any) -> None:
    """vsstatus.MXR is about the guest's own tables."""
    memory = ram(g2=GIB | V | X | U | A | D)
    assert subject.two_stage_translate(view(vmxr=True), BASE, LOAD, False, memory).cause == 21
    assert subject.two_stage_translate(view(mxr=True), BASE, LOAD, False, memory).cause is None


def test_tables(subject: Any) -> None:
    """Entries of the guest's lie at GPAs, too."""
    memory = ram(g2=GIB | FULL | U)
    memory.words[GUESTS + 8] = GIB | FULL
    seen = View(8 << 60 | GUESTS >> 12, view().hgatp, 1)
    assert subject.two_stage_translate(seen, 1 << 30, LOAD, False, memory) == Found(None, BASE, BASE)
    assert subject.two_stage_translate(seen, 1 << 30, LOAD, False, ram()) == Found(21, 0, GUESTS + 8, True)
    moved = Ram(BASE, 1 << 20, {ROOT + 8: GIB | FULL | U, ROOT + 16: GIB | FULL | U, GUESTS: GIB | FULL})
    far = View(8 << 60 | (1 << 30) + GUESTS - BASE >> 12, view().hgatp, 1)
    assert subject.two_stage_translate(far, 8, LOAD, False, moved) == Found(None, BASE + 8, BASE + 8)


def test_sign(subject: Any) -> None:
    """hlv.b extends it, hlv.bu does not."""
    memory = ram(g2=GIB | FULL | U)
    memory.words[BASE] = 0x80
    assert subject.hlv(view(), BASE, 1, True, memory) == (1 << 64) - 0x80
    assert subject.hlv(view(), BASE, 1, False, memory) == 0x80
