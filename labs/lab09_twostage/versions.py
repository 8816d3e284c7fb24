"""The right translation, by the walker that knows only the manual, and broken ones: for students' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..kit.paging import LOAD, PAGE_FAULT
from ..kit.two_stage import Found, Ram, View
from ..lab import RIGHT
from .reference import Reference


class Right(Reference):
    """What tests call."""

    def two_stage_translate(self, view: View, gva: int, access: int, as_code: bool, ram: Ram) -> Found:
        """As in answer.py."""
        return self.translate(view, gva, access, as_code, ram)

    def hlv(self, view: View, gva: int, size: int, is_signed: bool, ram: Ram) -> int | Found:
        """As in answer.py."""
        found = self.translate(view, gva, LOAD, False, ram)
        if found.cause is not None:
            return found
        value = ram.load(found.hpa, size) or 0
        return value | self.extension(value, size) if is_signed else value

    def extension(self, value: int, size: int) -> int:
        """The bits above a signed value."""
        return (1 << 64) - (1 << 8 * size) if value >> 8 * size - 1 else 0


class NotForUsers(Right):
    """The second stage's U is not looked at."""

    def is_open(self, pte: int) -> bool:
        """Open to all."""
        return True


class SmallRoot(Right):
    """The second stage's root is one page."""

    def index_mask(self, level: int) -> int:
        """Nine bits."""
        return 511


class OneStageTables(Right):
    """The guest's tables are read where they say they are: the second stage is skipped for them."""

    def table_entry(self, view: View, gpa: int, access: int, ram: Ram) -> int:
        """GPA is HPA."""
        return gpa


class GuestsMxr(Right):
    """The guest's MXR opens the host's tables."""

    def second_mxr(self, view: View) -> bool:
        """Either."""
        return view.mxr or view.vmxr


class PageFaults(Right):
    """The second stage's faults are page faults: the guest would hear of tables that are none of its."""

    def guest_fault(self, access: int, gpa: int, is_implicit: bool) -> tuple[int, int, int, bool]:
        """12, 13 and 15."""
        return PAGE_FAULT[access], 0, 0, False


class HidesTables(Right):
    """A fault at an entry of the guest's is told as one of the access itself."""

    def guest_fault(self, access: int, gpa: int, is_implicit: bool) -> tuple[int, int, int, bool]:
        """Never implicit."""
        return super().guest_fault(access, gpa, False)


class NoSign(Right):
    """hlv.b, hlv.h and hlv.w do not extend the sign."""

    def extension(self, value: int, size: int) -> int:
        """Zeros."""
        return 0


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "not-for-users": NotForUsers, "small-root": SmallRoot, "one-stage-tables": OneStageTables,
    "guests-mxr": GuestsMxr, "page-faults": PageFaults, "hides-tables": HidesTables, "no-sign": NoSign}
