"""What a snapshot store works with: the machine's frames, and the map from the guest's pages to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..jail.codec import travels
from . import remote

PAGE_SIZE: Final = 4096


@travels
@dataclass(frozen=True)
class FrameMap:
    """The frame map of one VM. gfn: a guest page's number, its gpa >> 12. hpa: where a frame of the machine begins.

    A page that is mapped with is_writable=False can be read; the first store to it, the guest's or a device's, comes to
    your cow_break. A page without a frame reads as zeros; whatever touches it first comes there, too.
    """

    name: str = "frames"

    def frames(self) -> dict[int, int]:
        """The hpa of the frame behind each page that has one, by gfn."""
        found: dict[int, int] = self._ask("frames")
        return found

    def allocate(self) -> int:
        """A frame of zeros, yours until you free it: its hpa."""
        return int(self._ask("allocate"))

    def free(self, hpa: int) -> None:
        """Give a frame back that backs no page. It is somebody else's at once."""
        self._ask("free", hpa)

    def copy(self, source: int, target: int) -> None:
        """Copy the 4096 bytes of a frame to another. It is counted."""
        self._ask("copy", source, target)

    def map(self, gfn: int, hpa: int, is_writable: bool) -> None:
        """From here on the frame backs the page, and no other; what the guest had cached of the old one is dropped."""
        self._ask("map", gfn, hpa, is_writable)

    def unmap(self, gfn: int) -> None:
        """The page has no frame any more. Its frame remains yours."""
        self._ask("unmap", gfn)

    def save(self) -> int:
        """Put down all of the VM but its memory (registers, devices, clock): the number under which it lies."""
        return int(self._ask("save"))

    def load(self, number: int) -> None:
        """Make all of the VM but its memory what was put down."""
        self._ask("load", number)

    def _ask(self, what: str, *arguments: Any) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
