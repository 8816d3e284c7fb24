"""The right walk and the right leaves, by the hypervisor's own walker, and broken ones: for students' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...core.isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from ...core.vmm.shadow_pages import deprivileged_role
from ...core.vmm.walker import FETCH, LOAD, STORE, USER, walk
from ..kit.paging import Context, Walk
from ..lab import RIGHT

Memory = dict[int, int]
_KEPT: Final = PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D


class Right:
    """What tests call: walk_guest with the entries that there are, and leaf_flags."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """memory: entry by gpa; where none is, there is no RAM."""
        found = walk(memory.get, context.satp, gva, access, context.mode == USER, context.sum, context.mxr)
        return Walk(found.cause) if found.cause is not None else Walk(None, found.gpa, found.perms & _KEPT)

    def leaf_flags(self, context: Context, flags: int) -> int:
        """The real leaf's R, W and X for a guest leaf with these flags, A and D set."""
        role = deprivileged_role(context.mode == USER, context.sum, context.mxr)
        return role.leaf_bits(flags, context.satp >> 60 == 0) & (PTE_R | PTE_W | PTE_X)


class ExecutesUserPages(Right):
    """Under SUM the supervisor may execute user pages."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """A fetch is checked as user's."""
        if access == FETCH and context.mode and context.sum:
            found = super().walk_guest(Context(context.satp, USER, False, context.mxr), gva, access, memory)
            if found.cause is None:
                return found
        return super().walk_guest(context, gva, access, memory)


class NoMxr(Right):
    """MXR has no effect on leaves."""

    def leaf_flags(self, context: Context, flags: int) -> int:
        """As if it were off."""
        return super().leaf_flags(Context(context.satp, context.mode, context.sum, False), flags)


class ForgivesA(Right):
    """A leaf without A is as good as one with it."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """A is set where there is a leaf."""
        seen = {gpa: pte | PTE_A if pte & (PTE_R | PTE_X) else pte for gpa, pte in memory.items()}
        return super().walk_guest(context, gva, access, seen)


class ForgivesD(Right):
    """A store does not need D."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """D is set where there is a writable leaf."""
        seen = {gpa: pte | PTE_D if pte & PTE_W and access == STORE else pte for gpa, pte in memory.items()}
        return super().walk_guest(context, gva, access, seen)


class NoAccessFault(Right):
    """A table where there is no RAM is a page fault."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """Causes 1, 5 and 7 become 12, 13 and 15."""
        found = super().walk_guest(context, gva, access, memory)
        return Walk({1: 12, 5: 13, 7: 15}.get(found.cause, found.cause)) if found.cause is not None else found


class Misaligned(Right):
    """The low page bits of a superpage's entry are ignored."""

    def walk_guest(self, context: Context, gva: int, access: int, memory: Memory) -> Walk:
        """A page fault becomes a translation, where only that was wrong."""
        found = super().walk_guest(context, gva, access, memory)
        if found.cause is None or context.satp >> 60 == 0:
            return found
        leaves = {gpa: pte for gpa, pte in memory.items() if pte & (PTE_R | PTE_X) and pte & PTE_V}
        trimmed = memory | {gpa: pte & ~(511 << 10) for gpa, pte in leaves.items()}
        again = super().walk_guest(context, gva, access, trimmed)
        return again if again.cause is None and access in (LOAD, STORE, FETCH) else found


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "executes-user-pages": ExecutesUserPages, "no-mxr": NoMxr, "forgives-a": ForgivesA,
    "forgives-d": ForgivesD, "no-access-fault": NoAccessFault, "misaligned": Misaligned}
