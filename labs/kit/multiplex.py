"""What a hypervisor of many VMs decides on: their memory, their pages, and the machine's frames behind these."""

from __future__ import annotations

from dataclasses import dataclass

from ..jail.codec import travels
from . import remote


@travels
@dataclass(frozen=True)
class VmMemory:
    """The memory of one VM, in pages. shares: its weight. pages: what it would have with an empty balloon. balloon: how
    many of these it was asked to give. reservation: what must be left to it, if it has as much."""

    shares: int
    pages: int
    balloon: int
    reservation: int


@travels
@dataclass(frozen=True)
class HashedPage:
    """A page of a VM. hash: of its bytes; pages that differ can have the same. frame: the hpa of the machine's frame
    that it is in. Pages with the same frame share it already."""

    vm: int
    gfn: int
    hash: int
    frame: int


@travels
@dataclass(frozen=True)
class SharedFrames:
    """The machine's frames, for whoever shares pages."""

    name: str = "shared"

    def equal(self, one: int, other: int) -> bool:
        """Whether two frames hold the same 4096 bytes. It is counted."""
        return bool(remote.ask(f"{self.name}.equal", (one, other)))

    def join(self, vm: int, gfn: int, frame: int) -> None:
        """Put a page, which is in a frame of its own, into this frame; its own is free then. Both are read-only until
        somebody stores to one, and then copied. A frame backs one page of a VM at most."""
        remote.ask(f"{self.name}.join", (vm, gfn, frame))
