"""A trace as one sequence of events, merged from its streams."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import merge
from pathlib import Path
from typing import Any, Final

from ...errors import TraceError
from ...machine.symbols import Symbols, symbols_from_json
from .events import (
    EVENTS,
    EXITS,
    INSN,
    INSTRUCTIONS,
    IRQ,
    KINDS,
    MEM,
    MEMORY,
    WORDS,
    Access,
    Event,
    ExitEvent,
    Instruction,
    TrapEvent,
    WireEvent,
    accesses,
    instructions,
    kind_of,
    others,
)
from .file import Frame, Reader

_STREAMS: Final = {INSN: INSTRUCTIONS, MEM: MEMORY, EXITS: EVENTS, IRQ: EVENTS}
_RANK: Final[dict[type, int]] = {WireEvent: 0, ExitEvent: 0, TrapEvent: 0, Instruction: 1, Access: 2}
"""What comes first within a step: what led to it, the instruction, what it accessed."""

NO_LIMIT: Final = 1 << 64


class TraceFile:
    """A trace file. Raises TraceError for what is none.

    header: guest, technique, isa, harts, kinds, and more. symbols: the guest's. cut: the byte at which the file was cut
    off; None for a whole one.
    """

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self.path = path
        self.header: dict[str, Any] = self._reader.header
        self.symbols: Symbols = symbols_from_json(self._reader.symbols())
        self.cut: int | None = self._reader.cut

    @property
    def harts(self) -> int:
        """How many harts, or vCPUs, the traced guest has."""
        return int(self.header.get("harts", 1))

    @property
    def kinds(self) -> frozenset[str]:
        """What was recorded."""
        return frozenset(self.header["kinds"])

    @property
    def name(self) -> str:
        """Guest and technique."""
        return f"{self.header.get('guest', '?')}, {self.header.get('technique', '?')}"

    @property
    def last_step(self) -> int:
        """The step at which recording ended."""
        return self._reader.last

    def events(self, kinds: Collection[str] = KINDS, first: int = 0, last: int = NO_LIMIT,
               hart: int | None = None) -> Iterator[Event]:
        """The events of these kinds with steps in [first, last), of one hart or of all, in the order of their steps.

        Raises TraceError where a frame turns out to be damaged.
        """
        streams: dict[tuple[int, int], list[Frame]] = {}
        wanted = {_STREAMS[kind] for kind in kinds}
        for frame in self._reader.frames:
            if frame.kind in wanted and frame.last >= first and frame.first < last and hart in (None, frame.hart):
                streams.setdefault((frame.hart, frame.kind), []).append(frame)
        found = [self._stream(frames, frozenset(kinds), first, last) for _, frames in sorted(streams.items())]
        return found[0] if len(found) == 1 else merge(*found, key=_order)

    def _stream(self, frames: list[Frame], kinds: frozenset[str], first: int, last: int) -> Iterator[Event]:
        for frame in frames:
            is_inside = first <= frame.first and frame.last < last and (frame.kind != EVENTS or {EXITS, IRQ} <= kinds)
            for event in self._records(frame):
                if is_inside or (first <= event.step < last and kind_of(event) in kinds):
                    yield event

    def _records(self, frame: Frame) -> Iterator[Event]:
        fields = self._reader.fields(frame, WORDS[frame.kind])
        if frame.kind == INSTRUCTIONS:
            return instructions(fields, frame.hart)
        if frame.kind == MEMORY:
            return accesses(fields, frame.hart)
        return others(fields, frame.hart, self.header["reasons"])


def _order(event: Event) -> tuple[int, int, int]:
    return event.step, event.hart, _RANK[type(event)]


def parse_kinds(text: str, option: str) -> frozenset[str]:
    """The kinds in a list such as "exits,irq". Raises TraceError."""
    kinds = frozenset(kind.strip() for kind in text.split(","))
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        raise TraceError(f"{option} {text}: there is no {unknown[0]!r}; give some of {','.join(KINDS)}")
    return kinds
