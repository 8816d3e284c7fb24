"""Where QEMU is known to differ from the manual: the cases in qemu_deviations.toml, and how one is recognised in a
log."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).with_name("qemu_deviations.toml")


@dataclass(frozen=True)
class Deviation:
    """A known case. fields: which fields of a log may differ, to the bits in which they may. causes: the mcause
    values at which; none: any.
    given: what our entry must hold besides, as a mask and the bits under it. theirs: what QEMU's must. above: what a
    field of ours must exceed. any_fields: everything may differ. differ, same: bits of which some, or none, must
    differ. leaked: bits of which QEMU's must have some. equal: pairs of our fields that must be equal.
    stops: what the program does then cannot be compared."""

    name: str
    section: str
    why: str
    fields: dict[str, int]
    causes: tuple[int, ...]
    given: dict[str, tuple[int, int]]
    theirs: dict[str, int]
    above: dict[str, int]
    differ: dict[str, int]
    same: dict[str, int]
    leaked: dict[str, int]
    equal: dict[str, str]
    any_fields: bool
    stops: bool

    def fits(self, entry: dict[str, int], fields: dict[str, tuple[int, int]]) -> bool:
        """Whether the conditions on what differs, on QEMU's bits and on pairs of fields hold."""
        bits = {name: one ^ two for name, (one, two) in fields.items()}
        return (
            all(bits.get(name, 0) & mask for name, mask in self.differ.items())
            and not any(bits.get(name, 0) & mask for name, mask in self.same.items())
            and all(name in fields and fields[name][1] & mask for name, mask in self.leaked.items())
            and all(entry.get(one) == entry.get(two) for one, two in self.equal.items())
        )


@dataclass
class Deviations:
    """The known cases of one QEMU version, and how often each was met."""

    cases: tuple[Deviation, ...]
    met: Counter[str] = field(default_factory=Counter)

    def explain(self, entry: dict[str, int], fields: dict[str, tuple[int, int]]) -> tuple[bool, bool]:
        """Whether known cases cover all the differing fields of an entry, and whether one of them ends the
        comparison."""
        left = {name: one ^ two for name, (one, two) in fields.items()}
        used_cases = []
        for case in sorted(self.cases, key=lambda case: case.any_fields):
            if case.any_fields and not any(left.values()):
                break  # what names its fields has explained all
            if case.causes and entry.get("mcause") not in case.causes:
                continue
            if any(entry.get(name, 0) & mask != value for name, (mask, value) in case.given.items()):
                continue
            if any(entry.get(name, 0) <= value for name, value in case.above.items()):
                continue
            if any(name in fields and fields[name][1] != value for name, value in case.theirs.items()):
                continue
            if not case.fits(entry, fields):
                continue
            if case.any_fields:
                left.clear()
                used_cases.append(case)
                continue
            used = [name for name, mask in case.fields.items() if left.get(name, 0) & mask]
            for name in used:
                left[name] &= ~case.fields[name]
            if used:
                used_cases.append(case)
        if any(left.values()):
            return False, False
        self.met.update(case.name for case in used_cases)
        return True, any(case.stops for case in used_cases)


def known_deviations(version: str) -> Deviations:
    """The cases of a QEMU version: "7.2" or "10.0"."""
    found = tomllib.loads(DATA.read_text(encoding="utf-8"))
    cases = [
        Deviation(
            case["name"],
            case["section"],
            case["why"],
            {name: int(mask, 0) for name, mask in case["fields"].items()},
            tuple(case.get("causes", ())),
            {name: (int(mask, 0), int(value, 0)) for name, (mask, value) in case.get("given", {}).items()},
            case.get("theirs", {}),
            {name: int(value, 0) for name, value in case.get("above", {}).items()},
            *({name: int(mask, 0) for name, mask in case.get(key, {}).items()} for key in ("differ", "same", "leaked")),
            case.get("equal", {}),
            case.get("any_fields", False),
            case.get("stops", False),
        )
        for case in found["deviation"]
        if version in case["versions"]
    ]
    return Deviations(tuple(cases))
