"""Lab 4: shadow paging. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.paging import Context, Machine, Verdict, Walk


class ShadowPager:
    """Shadow tables of Sv39: from the guest's virtual addresses to the machine's frames."""

    def use(self, machine: Machine) -> None:
        """Called once, before anything else: the machine whose frames your tables take."""
        self.machine = machine

    def walk_guest(self, context: Context, gva: int, access: int) -> Walk:
        """What the guest's own tables say of an access (FETCH, LOAD, STORE)."""
        raise NotImplementedError

    def classify_fault(self, context: Context, gva: int, access: int) -> Verdict:
        """The real hart faulted: is it the guest's own fault, a device's address, or a shadow entry that is missing?"""
        raise NotImplementedError

    def root(self, context: Context) -> int:
        """The hpa of the root table for this context. Asked whenever the context may have changed."""
        raise NotImplementedError

    def shadow_fill(self, context: Context, gva: int, access: int) -> None:
        """You said "shadow": make the entry, so that the access gets through."""
        raise NotImplementedError

    def on_sfence(self, context: Context, gva: int | None, asid: int | None) -> None:
        """The guest executed sfence.vma, for one address or all, one address space or all (None)."""
        raise NotImplementedError
