"""Traces as a timeline: JSON in the Trace Event Format, for Perfetto and Chrome's viewer.

One microsecond of the timeline is one step. Each trace is a process, so that the same guest under several techniques
can be seen side by side; each vCPU has these threads, of which those with nothing to show are left out:

    guest      slices in which the guest runs, or sleeps, between two exits; an exit itself takes no step
    exits      an instant an exit, named for its reason
    traps      an instant a trap that the guest took, named for its cause
    mode       slices of the guest's privilege mode, if instructions were traced
    STI, ...   slices in which an interrupt is pending

Source: "Trace Event Format", the document that Perfetto's "Visualizing external trace formats" refers to: JSON Object
Format, Duration Events (B, E), Instant Events (i), Metadata Events (M).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

from ...isa.causes import INTERRUPT_BIT, describe
from .events import EXITS, INSN, IRQ, MODES, Event, ExitEvent, Instruction, TrapEvent, WireEvent
from .lines import cause_name, verdict
from .reader import NO_LIMIT, TraceFile

JsonEvent = dict[str, Any]

GUEST, EXIT_TRACK, TRAP_TRACK, MODE_TRACK, WIRE_TRACK = 1, 2, 3, 4, 5
"""Threads of a vCPU, in the order shown; interrupt n has WIRE_TRACK + n. (Thread 0 is an idle one to Perfetto.)"""

TRACKS: Final = 128
"""Thread numbers a vCPU."""

_NAMES: Final = {GUEST: "guest", EXIT_TRACK: "exits", TRAP_TRACK: "traps", MODE_TRACK: "mode"}
WFI_REASON: Final = "wfi"


class Timeline:
    """One trace's part. process: its number."""

    def __init__(self, trace: TraceFile, process: int) -> None:
        self._trace = trace
        self._process = process
        self._named: set[int] = set()
        self._open: dict[int, str] = {}
        self._due: dict[int, tuple[int, str]] = {}

    def events(self, kinds: Collection[str], first: int, last: int, hart: int | None) -> Iterator[JsonEvent]:
        """Its events, by rising ts."""
        step = 0
        yield self._metadata("process_name", 0, self._trace.name)
        wanted = [kind for kind in kinds if kind in (EXITS, IRQ, INSN)]
        for event in self._trace.events(wanted, first, last, hart):
            if event.step > step:
                yield from self._begin_due()
            step = max(step, event.step)
            yield from self._show(event)
        end = min(self._trace.last_step, last)
        if end > step:
            yield from self._begin_due()
        for thread in sorted(self._open):
            yield self._event("E", thread, max(step, end), self._open[thread])

    def _show(self, event: Event) -> Iterator[JsonEvent]:
        base = event.hart * TRACKS
        match event:
            case ExitEvent():
                yield from self._slice(base + GUEST, event.step, "asleep" if event.reason == WFI_REASON else "guest")
                arguments = {"pc": hex(event.pc), "symbol": self._trace.symbols.describe(event.pc), "step": event.step,
                             "tval": hex(event.tval), "gpa": hex(event.address), "verdict": verdict(event)}
                if event.cause is not None:
                    arguments["cause"] = describe(event.cause)
                yield from self._instant(base + EXIT_TRACK, event.step, event.reason, arguments)
            case TrapEvent():
                yield from self._awake(base + GUEST, event.step)
                yield from self._instant(base + TRAP_TRACK, event.step, cause_name(event.cause), {
                    "pc": hex(event.pc), "symbol": self._trace.symbols.describe(event.pc), "tval": hex(event.tval),
                    "from": MODES[event.mode], "to": MODES[event.target], "step": event.step,
                    "by": "hypervisor" if event.by_hypervisor else "hart"})
            case WireEvent():
                yield from self._awake(base + GUEST, event.step)
                name = cause_name(event.interrupt | INTERRUPT_BIT)
                yield from self._slice(base + WIRE_TRACK + event.interrupt, event.step, name if event.level else None)
            case Instruction():
                mode = MODES[event.mode]
                if self._now(base + MODE_TRACK) != mode:
                    yield from self._slice(base + MODE_TRACK, event.step, mode)

    def _awake(self, thread: int, step: int) -> Iterator[JsonEvent]:
        """Whatever happens to a sleeper wakes it."""
        if self._now(thread) == "asleep":
            yield from self._slice(thread, step, "guest")

    def _now(self, thread: int) -> str | None:
        return self._due[thread][1] if thread in self._due else self._open.get(thread)

    def _slice(self, thread: int, step: int, name: str | None) -> Iterator[JsonEvent]:
        """End what the thread shows, and let it show `name` from `step` on, unless that ends at the same step."""
        if thread in self._open:
            yield self._event("E", thread, step, self._open.pop(thread))
        if name is None:
            self._due.pop(thread, None)
        else:
            self._due[thread] = (step, name)

    def _begin_due(self) -> Iterator[JsonEvent]:
        """Begin the slices that last longer than no step."""
        for thread, (step, name) in self._due.items():
            yield from self._name_thread(thread, step)
            self._open[thread] = name
            yield self._event("B", thread, step, name)
        self._due.clear()

    def _instant(self, thread: int, step: int, name: str, arguments: JsonEvent) -> Iterator[JsonEvent]:
        yield from self._name_thread(thread, step)
        yield {**self._event("i", thread, step, name), "s": "t", "args": arguments}

    def _event(self, phase: str, thread: int, step: int, name: str) -> JsonEvent:
        return {"name": name, "cat": _category(thread), "ph": phase, "ts": step, "pid": self._process, "tid": thread}

    def _name_thread(self, thread: int, step: int) -> Iterator[JsonEvent]:
        if thread in self._named:
            return
        self._named.add(thread)
        hart, track = divmod(thread, TRACKS)
        name = _NAMES.get(track) or cause_name(track - WIRE_TRACK | INTERRUPT_BIT)
        yield {**self._metadata("thread_name", thread, f"vCPU {hart} {name}"), "ts": step}
        yield {**self._metadata("thread_sort_index", thread, thread), "ts": step}

    def _metadata(self, name: str, thread: int, value: str | int) -> JsonEvent:
        key = "sort_index" if name.endswith("sort_index") else "name"
        return {"name": name, "ph": "M", "ts": 0, "pid": self._process, "tid": thread, "args": {key: value}}


def _category(thread: int) -> str:
    track = thread % TRACKS
    return {GUEST: "run", EXIT_TRACK: "exit", TRAP_TRACK: "trap", MODE_TRACK: "mode"}.get(track, "irq")


def timeline(traces: Sequence[TraceFile], kinds: Collection[str], first: int = 0, last: int = NO_LIMIT,
             hart: int | None = None) -> Iterator[str]:
    """The text of the JSON object, in pieces."""
    header = {trace.path.name: trace.header for trace in traces}
    yield '{"displayTimeUnit":"ms","otherData":' + json.dumps(header) + ',"traceEvents":[\n'
    parts: list[Iterable[JsonEvent]] = [
        Timeline(trace, process).events(kinds, first, last, hart) for process, trace in enumerate(traces, 1)]
    separator = ""
    for event in merge(*parts, key=lambda event: event["ts"]):
        yield separator + json.dumps(event, separators=(",", ":"))
        separator = ",\n"
    yield "\n]}\n"
