"""The exits along time: how many there are in each stretch, for which reasons; and those near the position one by one.

However many there are, a look costs a few milliseconds: the log counts by blocks (ExitLog.count), and a strip that has
not changed is not counted again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ...isa.disassembler import disassemble
from ..exit_log import ExitLog, LoggedExit
from ..exits import ExitReason, label
from ..sbi_names import call_of
from ..walker import USER

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector

LEAST_SPAN: Final = 8
"""Steps that a strip shows at least."""

_INSTRUCTIONS: Final = (ExitReason.CSR, ExitReason.SATP, ExitReason.SRET, ExitReason.SFENCE, ExitReason.WFI)


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, one column wide. step: at which it begins. first, end: the numbers of its exits. reasons:
    those it has, with how many there are, the most frequent first."""

    step: int
    first: int
    end: int
    reasons: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Of exits, of those wanted."""
        return sum(count for _, count in self.reasons)


@dataclass(frozen=True)
class ExitRow:
    """One exit. detail: what it was about, in few words."""

    number: int
    step: int
    reason: int
    label: str
    vcpu: int
    mode: str
    pc: int
    symbol: str
    detail: str


@dataclass(frozen=True)
class StripView:
    """start, end: all of time that is known. first, span: the steps that the stretches cover. step, exit: the position;
    exit is None where it is at none. number: of that exit, or the next. counts: all exits, by reason, the most frequent
    first; shown: of the reasons wanted, in the strip. rows: the exits around the position. refused: why there are none.
    """

    technique: str
    start: int
    end: int
    first: int
    span: int
    step: int
    exit: int | None
    number: int
    n_exits: int
    shown: int
    stretches: tuple[Stretch, ...]
    counts: tuple[tuple[int, int], ...]
    rows: tuple[ExitRow, ...]
    n_vcpus: int
    is_running: bool
    refused: str = ""

    def column_of(self, step: int) -> int | None:
        """The column that a step is in; None if it is not in the strip."""
        if not self.stretches or not self.first <= step <= self.first + self.span:
            return None
        return min(len(self.stretches) - 1, (step - self.first) * len(self.stretches) // self.span)


_Key = tuple[int, int, int, int, int, frozenset[int] | None]
_COUNTED: WeakKeyDictionary[Inspector, tuple[_Key, tuple[Stretch, ...]]] = WeakKeyDictionary()


def view_strip(inspection: Inspection, columns: int, rows: int = 0, span: int | None = None, first: int = 0,
               reasons: frozenset[int] | None = None) -> StripView:
    """The strip in so many columns, and so many exits around the position.

    span: the steps that it covers, None for all; then `first` is where it is to begin if the position allows it.
    reasons: those wanted, None for all.
    """
    inspector = inspection.inspector
    log, step, start = inspector.log, inspector.step, _start(inspector)
    end = max(inspector.end, step)
    first, span = window(start, end, step, span, first)
    if log is None:
        return StripView(inspector.technique, start, end, first, span, step, None, 0, 0, 0, (), (), (), 1,
                         inspector.is_running, "on the bare machine nothing is virtualized: there are no exits")
    stretches = _stretches(inspector, log, max(1, columns), first, span, reasons)
    exit = inspector.exit if inspector.exit is not None and inspector.exit < len(log) else None
    number = exit if exit is not None else log.first_at(step)
    counts = sorted(((reason, count) for reason, count in enumerate(log.count(0, len(log))) if count),
                    key=lambda each: -each[1])
    return StripView(inspector.technique, start, end, first, span, step, exit, number, len(log),
                     sum(stretch.count for stretch in stretches), stretches, tuple(counts),
                     tuple(_row(inspector, log[each]) for each in around(log, number, rows, reasons)),
                     len(inspector.vm.vcpus), inspector.is_running)


def _start(inspector: Inspector) -> int:
    if inspector.timeline is not None:
        return inspector.timeline.start
    return 0 if inspector.log is None or not len(inspector.log) else inspector.log.step_of(0)


def window(start: int, end: int, step: int, span: int | None, first: int) -> tuple[int, int]:
    """The steps to show: first and how many. The position is always among them, and not at an edge if that can be."""
    whole = max(end - start, LEAST_SPAN)
    if span is None or span >= whole:
        return start, whole
    span = max(span, LEAST_SPAN)
    margin = span // 8
    if not first + margin <= step <= first + span - margin:
        first = step - span // 2
    return max(start, min(first, end - span)), span


def _stretches(inspector: Inspector, log: ExitLog, columns: int, first: int, span: int,
               reasons: frozenset[int] | None) -> tuple[Stretch, ...]:
    key = (len(log), log.n_cuts, columns, first, span, reasons)
    kept = _COUNTED.get(inspector)
    if kept is not None and kept[0] == key:
        return kept[1]
    columns = min(columns, span)
    steps = [first + span * column // columns for column in range(columns)]
    bounds = [*(log.first_at(step) for step in steps), log.first_at(first + span + 1)]
    made = tuple(
        Stretch(step, low, high, _ranked(counts, reasons))
        for step, low, high, counts in zip(steps, bounds[:-1], bounds[1:], log.count_between(bounds), strict=True))
    _COUNTED[inspector] = key, made
    return made


def _ranked(counts: list[int], reasons: frozenset[int] | None) -> tuple[tuple[int, int], ...]:
    found = [(reason, count) for reason, count in enumerate(counts) if count and (reasons is None or reason in reasons)]
    return tuple(sorted(found, key=lambda each: -each[1]))


# --- one by one


def around(log: ExitLog, number: int, rows: int, reasons: Collection[int] | None) -> list[int]:
    """The numbers of so many exits around one, of the reasons wanted."""
    if reasons is None:
        first = max(0, min(number - rows // 2, len(log) - rows))
        return list(range(first, min(first + rows, len(log))))
    before: list[int] = []
    found = log.find(number - 1, reasons, backwards=True) if number else None
    while found is not None and len(before) < rows:
        before.append(found)
        found = log.find(found - 1, reasons, backwards=True) if found else None
    after: list[int] = []
    found = log.find(number, reasons)
    while found is not None and len(after) < rows:
        after.append(found)
        found = log.find(found + 1, reasons)
    n_before = min(len(before), max(rows // 2, rows - len(after)))
    return [*reversed(before[:n_before]), *after[:rows - n_before]]


def _row(inspector: Inspector, logged: LoggedExit) -> ExitRow:
    mode, symbol = "U" if logged.mode == USER else "S", inspector.symbols.describe(logged.pc)
    return ExitRow(logged.number, logged.step, logged.reason, label(logged.reason), logged.vcpu, mode, logged.pc,
                   symbol, detail(logged))


def detail(logged: LoggedExit) -> str:
    """What an exit was about, as far as the log knows."""
    reason = logged.reason
    if reason in _INSTRUCTIONS or (reason >= ExitReason.REFLECTED and not logged.tval and logged.insn):
        return _text(logged.insn, logged.pc)
    if reason in (ExitReason.MMIO_LOAD, ExitReason.MMIO_STORE) and logged.insn:
        return f"{_text(logged.insn, logged.pc)}  {logged.gpa or logged.tval:#x}"
    if reason == ExitReason.TIMER:
        return "its deadline"
    if reason == ExitReason.SBI:
        return call_of(logged.tval, logged.gpa).name
    if logged.gpa and logged.gpa != logged.tval:
        return f"{logged.tval:#x} → {logged.gpa:#x}"
    return f"{logged.tval:#x}"


@lru_cache(maxsize=4096)
def _text(insn: int, pc: int) -> str:
    return disassemble(insn, pc, aliases=True)
