"""Lab 4: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.paging import FETCH, LOAD, STORE, SV39, Context

V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128
ROOT = 0x8030_0000
GIB = 0x8000_0000 >> 2


def context(mode: int = 1, sum_: bool = False, mxr: bool = False) -> Context:
    """On the tables at ROOT."""
    return Context(SV39 << 60 | ROOT >> 12, mode, sum_, mxr)


def test_user_pages_are_never_executed(subject: Any) -> None:
    """Whatever SUM says."""
    memory = {ROOT: GIB | V | R | X | U | A}
    assert subject.walk_guest(context(sum_=True), 0, FETCH, memory).cause == 12
    assert subject.walk_guest(context(sum_=True), 0, LOAD, memory).cause is None


def test_mxr(subject: Any) -> None:
    """What is executable can be read."""
    assert subject.leaf_flags(context(mxr=True), X | A | D) == R | X
    assert subject.leaf_flags(context(), X | A | D) == X


def test_accessed_and_dirty(subject: Any) -> None:
    """Svade: faults."""
    assert subject.walk_guest(context(), 0, LOAD, {ROOT: GIB | V | R | W | D}).cause == 13
    assert subject.walk_guest(context(), 0, STORE, {ROOT: GIB | V | R | W | A}).cause == 15
    assert subject.walk_guest(context(), 0, STORE, {ROOT: GIB | V | R | W | A | D}).gpa == 0x8000_0000


def test_no_ram(subject: Any) -> None:
    """A table that is not there."""
    assert subject.walk_guest(context(), 0, LOAD, {ROOT: 0x4000_0000 >> 2 | V}).cause == 5


def test_superpage(subject: Any) -> None:
    """A gigapage begins at a gigabyte."""
    assert subject.walk_guest(context(), 0, LOAD, {ROOT: 0x8000_1000 >> 2 | V | R | A}).cause == 13
