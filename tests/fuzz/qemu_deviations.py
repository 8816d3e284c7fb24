"""Where QEMU is known to differ from the manual: the cases in qemu_deviations.toml, and how one is recognised."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import qemu_accesses, qemu_situations  # noqa: F401  (what they hold is found in SITUATIONS)
from .qemu_evidence import SITUATIONS, Entry, Evidence
from .qemu_layout import Program
from .qemu_trace import Trace

DATA = Path(__file__).with_name("qemu_deviations.toml")
Fields = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Deviation:
    """A known case. fields: which fields of a log entry may differ, to the bits in which they may; none: every field.
    stops: what the program does then cannot be compared. A case that says so of every field names its situation.

    What else must hold: causes: our mcause is one of these. given, theirs: our entry's fields, and QEMU's, have under a
    mask these bits. more, less: in these fields, what differs is set in QEMU's only, or in ours only.
    above: a field of ours exceeds this. situation: what our hart executed before, by its name in SITUATIONS.
    written: a CSR was given a value with some of these bits, at any time before.
    """

    name: str
    section: str
    why: str
    fields: Mapping[str, int]
    stops: bool
    causes: tuple[int, ...]
    given: Mapping[str, tuple[int, int]]
    theirs: Mapping[str, tuple[int, int]]
    more: tuple[str, ...]
    less: tuple[str, ...]
    above: Mapping[str, int]
    situation: str
    written: Mapping[str, int]

    @property
    def is_total(self) -> bool:
        """Whether every field may differ."""
        return not self.fields

    def covers(self, left: Mapping[str, int]) -> list[str]:
        """The fields, of those with differing bits left, in which this case explains some."""
        return [name for name, bits in left.items() if bits & self.fields.get(name, 0)]

    def holds(self, fields: Fields, evidence: Evidence) -> bool:
        """Whether its conditions hold for an entry whose differing `fields` are (ours, QEMU's)."""
        ours, theirs = evidence.ours, evidence.theirs
        return (
            (not self.causes or ours.get("mcause") in self.causes)
            and all(ours.get(name, 0) & mask == value for name, (mask, value) in self.given.items())
            and all(theirs.get(name, 0) & mask == value for name, (mask, value) in self.theirs.items())
            and all(not fields[name][0] & self._bits(fields, name) for name in self.more if name in fields)
            and all(not fields[name][1] & self._bits(fields, name) for name in self.less if name in fields)
            and all(ours.get(name, 0) > value for name, value in self.above.items())
            and (not self.situation or SITUATIONS[self.situation](evidence))
            and (not self.written or any(evidence.was_given(csr, mask) for csr, mask in self.written.items()))
        )

    def _bits(self, fields: Fields, name: str) -> int:
        one, two = fields[name]
        return (one ^ two) & self.fields[name]


@dataclass(frozen=True)
class Case:
    """One program's two logs, and the deviations that may explain how they differ."""

    cases: tuple[Deviation, ...]
    trace: Trace
    ours: Sequence[Entry]
    theirs: Sequence[Entry]

    def explain(self, index: int, fields: Fields) -> list[Deviation] | None:
        """The deviations that together cover all differing fields of entry `index`, or else one that covers every
        field; None where none do."""
        evidence = Evidence(self.trace, index, self.ours, self.theirs)
        left = {name: one ^ two for name, (one, two) in fields.items()}
        used = []
        # What needs no trace is asked first.
        for case in sorted(self.cases, key=lambda case: bool(case.situation or case.written)):
            names = case.covers(left)
            if names and case.holds(fields, evidence):
                used.append(case)
                left |= {name: left[name] & ~case.fields[name] for name in names}
        if not any(left.values()):
            return used
        total = next((case for case in self.cases if case.is_total and case.holds(fields, evidence)), None)
        return None if total is None else [total]


@dataclass(frozen=True)
class Deviations:
    """The known cases of one QEMU version."""

    cases: tuple[Deviation, ...]

    def of(self, program: Program, ours: Sequence[Entry], theirs: Sequence[Entry]) -> Case:
        """These cases, for one program's logs."""
        return Case(self.cases, Trace(program), ours, theirs)


def _numbers(case: Mapping[str, Mapping[str, str]], key: str) -> dict[str, int]:
    return {name: int(value, 0) for name, value in case.get(key, {}).items()}


def _pairs(case: Mapping[str, Mapping[str, Sequence[str]]], key: str) -> dict[str, tuple[int, int]]:
    return {name: (int(mask, 0), int(value, 0)) for name, (mask, value) in case.get(key, {}).items()}


def known_deviations(version: str) -> Deviations:
    """The cases of a QEMU version: "10.0"."""
    found = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return Deviations(tuple(
        Deviation(
            case["name"],
            case["section"],
            case["why"],
            _numbers(case, "fields"),
            case.get("stops", False),
            tuple(case.get("causes", ())),
            _pairs(case, "given"),
            _pairs(case, "theirs"),
            tuple(case.get("more", ())),
            tuple(case.get("less", ())),
            _numbers(case, "above"),
            case.get("situation", ""),
            _numbers(case, "written"),
        )
        for case in found["deviation"]
        if version in case["versions"]
    ))  # fmt: skip
