"""What a migration works with: the source's dirty log, and a link that the guest goes on beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..jail.codec import travels
from . import remote

PAGE_SIZE: Final = 4096


@travels
@dataclass(frozen=True)
class PrecopyRound:
    """A round that is over. number: from 1. sent: pages that it put on the link, those that were lost included.
    lost: of them. dirty: pages that the dirty log holds now. steps: of the guest, while the round lasted."""

    number: int
    sent: int
    lost: int
    dirty: int
    steps: int


@travels
@dataclass(frozen=True)
class Migration:
    """A guest that is to move, and the link that it moves over. Pages go by number: the gpa shifted right by 12."""

    name: str = "migration"

    def take_dirty(self) -> list[int]:
        """The pages that were stored to since you last took them, ascending; the log is empty then. The first time it
        is all that were ever stored to; every other page is zeros on both sides."""
        return list(self._ask("take_dirty"))

    def peek_dirty(self, pages: Sequence[int]) -> list[int]:
        """Of these, the ones that the log holds now; it keeps them."""
        return list(self._ask("peek_dirty", list(pages)))

    def send(self, pages: Sequence[int]) -> list[int]:
        """Put these pages on the link, one after the other, each as it is when its turn comes; the guest runs while a
        page is under way, unless it is paused. Returns those that were lost: the target never saw them."""
        return list(self._ask("send", list(pages)))

    def send_state(self) -> bool:
        """Send all that is not pages: registers, CSRs, devices. The guest must be paused. False: it was lost."""
        return bool(self._ask("send_state"))

    def _ask(self, what: str, *arguments: object) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
