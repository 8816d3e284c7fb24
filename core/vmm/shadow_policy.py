"""When shadow entries are dropped: the two policies that ship, and the protocol for a third."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from .shadow_pager import ShadowPager

FLOOD_LIMIT: Final = 4
"""Emulated stores to a table, with no use of it in between, after which it is taken to be a table no more (or not for
now)."""


class ShadowPolicy(Protocol):
    """What a shadow pager asks its policy.

    name: for tables. guards_tables: guest frames that hold mirrored tables are mapped read-only, so that each store to
    one exits, is emulated, and drops the entries that derive from it.
    """

    name: str
    guards_tables: bool

    def satp_changed(self, pager: ShadowPager) -> None:
        """The guest wrote satp."""

    def fenced(self, pager: ShadowPager, gva: int | None, asid: int | None) -> None:
        """The guest executed sfence.vma, for one address or all, one address space or all (None)."""

    def table_written(self, pager: ShadowPager, gfn: int) -> None:
        """A store to the guarded table in `gfn` was emulated, and what derived from it is gone."""


class CachedPolicy:
    """Keep shadow tables across satp writes and fences; guard the guest's tables instead.

    A shadow entry is dropped by the very store that changes the guest entry it derives from, so no entry is ever stale,
    even for a guest that never fences. Like KVM's: a table that is only written to, not used, is let go, lest a freed
    table that now holds data cost an exit for every store.
    """

    name = "cached"
    guards_tables = True

    def satp_changed(self, pager: ShadowPager) -> None:
        """Nothing: each root has its own tables."""

    def fenced(self, pager: ShadowPager, gva: int | None, asid: int | None) -> None:
        """Nothing: no entry is stale."""

    def table_written(self, pager: ShadowPager, gfn: int) -> None:
        """Stop guarding a table that was written to FLOOD_LIMIT times in a row."""
        for page in pager.mirrors(gfn):
            page.writes += 1
            if page.writes >= FLOOD_LIMIT and page is not pager.active:
                pager.drop(page)
                pager.stats.unguarded += 1


class FlushPolicy:
    """Guard nothing and drop everything at every fence and satp write: simple, and enough for a guest that fences every
    change."""

    name = "flush"
    guards_tables = False

    def satp_changed(self, pager: ShadowPager) -> None:
        """Drop everything."""
        pager.flush()

    def fenced(self, pager: ShadowPager, gva: int | None, asid: int | None) -> None:
        """Drop everything."""
        pager.flush()

    def table_written(self, pager: ShadowPager, gfn: int) -> None:
        """Never asked: nothing is guarded."""


POLICIES: Final[dict[str, type[CachedPolicy] | type[FlushPolicy]]] = {"cached": CachedPolicy, "flush": FlushPolicy}
"""The shipped policies by name."""
