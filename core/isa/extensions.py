"""The extensions of the instruction set, one row each, and the ISA strings that name sets of them.

A set of extensions is a frozenset of names as the manual spells them ("M", "Zba", "Sstc"), always closed: whatever a
member implies is a member too. Instruction and CSR rows name the extension they belong to; a hart has the rows of its
set.

Source: unprivileged manual, "ISA Extension Naming Conventions"; privileged manual, "Machine ISA (misa) Register"; the
RVA profiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import OptionError


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: what it is called, what it adds, and which others come with it.

    `is_fact`: it adds nothing that could be left out, but promises how the hart behaves anyway. `is_option`: a hart has
    it only if it is asked for by name.
    """

    name: str
    adds: str
    implies: tuple[str, ...] = ()
    is_fact: bool = False
    is_option: bool = False


def _option(name: str, adds: str, *implies: str) -> Extension:
    return Extension(name, adds, implies, is_option=True)


def _fact(name: str, promise: str, *implies: str) -> Extension:
    return Extension(name, promise, implies, is_fact=True)


EXTENSIONS: tuple[Extension, ...] = (
    Extension("I", "the base integer instructions"),
    Extension("S", "supervisor mode, its CSRs and its instructions"),
    Extension("U", "user mode"),
    Extension("M", "multiplication and division", ("Zmmul",)),
    Extension("A", "atomic instructions", ("Zaamo", "Zalrsc")),
    Extension("F", "single-precision floating point", ("Zicsr",)),
    Extension("D", "double-precision floating point", ("F",)),
    Extension("C", "compressed instructions", ("Zca",)),
    Extension("B", "bit manipulation", ("Zba", "Zbb", "Zbs")),
    Extension("H", "the hypervisor: V=1, two-stage translation, hlv and hsv"),
    Extension("Zicsr", "instructions that access CSRs"),
    Extension("Zifencei", "fence.i"),
    Extension("Zicntr", "cycle, time and instret", ("Zicsr",)),
    Extension("Zihpm", "hpmcounter3 to hpmcounter31", ("Zicsr",)),
    Extension("Zihintpause", "pause"),
    Extension("Zihintntl", "hints that data is not used again soon"),
    Extension("Zicond", "conditional zeroing"),
    Extension("Zicbom", "cbo.inval, cbo.clean and cbo.flush"),
    Extension("Zicbop", "prefetch hints"),
    Extension("Zicboz", "cbo.zero"),
    Extension("Zimop", "may-be-operations"),
    Extension("Zmmul", "multiplication"),
    Extension("Zaamo", "atomic read-modify-write instructions"),
    Extension("Zalrsc", "load-reserved and store-conditional"),
    Extension("Zfhmin", "half-precision loads, stores, moves and conversions", ("F",)),
    Extension("Zfh", "half-precision floating point", ("Zfhmin",)),
    Extension("Zfa", "additional floating-point instructions", ("F",)),
    Extension("Zacas", "atomic compare-and-swap", ("Zaamo",)),
    Extension("Zawrs", "waiting for a store to the reservation set", ("Zalrsc",)),
    Extension("Zba", "address generation"),
    Extension("Zbb", "basic bit manipulation"),
    Extension("Zbc", "carry-less multiplication"),
    Extension("Zbs", "single bits"),
    Extension("Zca", "compressed integer instructions"),
    Extension("Zcb", "more compressed instructions", ("Zca",)),
    Extension("Zcmop", "compressed may-be-operations", ("Zca",)),
    Extension("Zcd", "compressed double-precision loads and stores", ("Zca", "D")),
    _fact("Ziccif", "main memory is fetched atomically"),
    _fact("Ziccrse", "main memory supports forward progress of lr/sc"),
    _fact("Ziccamoa", "main memory supports all atomics of A"),
    _fact("Zicclsm", "misaligned loads and stores to main memory work"),
    _fact("Zic64b", "cache blocks are 64 bytes"),
    _fact("Za64rs", "reservation sets are at most 64 bytes"),
    _fact("Zkt", "the time that these instructions take does not depend on their operands: one step each"),
    Extension("Ssstateen", "sstateen0 to 3 and hstateen0 to 3: which state the level below may access"),
    Extension("Smstateen", "mstateen0 to 3: which state the levels below M may access", ("Ssstateen",)),
    Extension("Sstc", "stimecmp and vstimecmp: timers for S-mode and VS-mode", ("Zicntr",)),
    Extension("Sscofpmf", "counters that interrupt when they overflow, and count in chosen modes only", ("Zihpm",)),
    Extension("Shlcofideleg", "hideleg can give the counter-overflow interrupt to VS-mode", ("Sscofpmf", "H")),
    _option("Sscsrind", "siselect and vsiselect: a window to registers that have no CSR number"),
    _option("Smcsrind", "miselect: a window to registers that have no CSR number", "Sscsrind"),
    _option("Ssaia", "advanced interrupts of S-mode and its guests: stopi, hvictl, interrupt files", "Sscsrind"),
    _option("Smaia", "advanced interrupts of M-mode: mtopi, mvien, an interrupt file", "Ssaia", "Smcsrind"),
    Extension("Svinval", "address-translation cache invalidation in parts"),
    _fact("Svbare", "satp may select no translation"),
    _fact("Sv39", "three-level page tables"),
    Extension("Sv48", "four-level page tables, also for guests' physical addresses", ("Sv39",)),
    Extension("Sv57", "five-level page tables, also for guests' physical addresses", ("Sv48",)),
    Extension("Svadu", "the hart sets A and D itself where menvcfg.ADUE and henvcfg.ADUE tell it to"),
    Extension("Svnapot", "page-table entries for 64 KiB, naturally aligned"),
    Extension("Svpbmt", "page-based memory types, where menvcfg.PBMTE and henvcfg.PBMTE enable them"),
    Extension("Smepmp", "mseccfg: physical memory protection that binds M-mode"),
    Extension("Sdtrig", "triggers: hardware breakpoints and watchpoints"),
    _fact("Svade", "a page's first access, or first store, faults for software to set A or D"),
    _fact("Ssccptr", "page tables may lie in any main memory"),
    _fact("Sstvecd", "stvec may hold any aligned address, mode direct"),
    _fact("Sstvala", "stval is written with the faulting address or instruction"),
    _fact("Sscounterenw", "scounteren's bits are writable for every counter"),
    _fact("Ssu64xl", "sstatus.UXL can be 64 bits"),
    _fact("Shcounterenw", "hcounteren's bits are writable for every counter", "H"),
    _fact("Shvstvala", "vstval is written as stval is", "H"),
    _fact("Shtvala", "htval holds the faulting guest physical address", "H"),
    _fact("Shvstvecd", "vstvec may hold any aligned address, mode direct", "H"),
    _fact("Shvsatpa", "vsatp has all the modes of satp", "H"),
    _fact("Shgatpa", "hgatp has the modes that go with those of satp, and bare", "H"),
)

BY_NAME: dict[str, Extension] = {row.name: row for row in EXTENSIONS}
_SPELLING: dict[str, str] = {name.lower(): name for name in BY_NAME}

EXTENSION_ID: dict[str, int] = {"": 0} | {row.name: place for place, row in enumerate(EXTENSIONS, 1)}
"""The numbers by which the hart knows extensions; 0 is the privileged base, which every hart has."""

_BASE = ("I", "S", "U", "Zicsr")
_WHOLES = ("M", "A", "B", "C")  # what these imply are their parts
_SINGLE_LETTERS = "IMAFDQCBVPH"
_CATEGORIES = "IMAFDQLCBKJTVPH"
_PREFIXES = ("Z", "Su", "Ss", "Sv", "Sh", "Sd", "Sm", "X")

_GENERAL = ("I", "M", "A", "F", "D", "Zicsr", "Zifencei")
_RVA20U = (*_GENERAL, "C", "Zicntr", "Ziccif", "Ziccrse", "Ziccamoa", "Zicclsm")
_RVA20S = ("Svbare", "Sv39", "Svade", "Ssccptr", "Sstvecd", "Sstvala")
_RVA22U = (*_RVA20U, "Za64rs", "Zihpm", "Zba", "Zbb", "Zbs", "Zihintpause", "Zic64b", "Zicbom", "Zicbop", "Zicboz",
           "Zfhmin", "Zkt")
_RVA22S = (*_RVA20S, "Sscounterenw", "Svpbmt", "Svinval", "Ssu64xl")
_RVA23U = (*_RVA22U, "V", "Zvfhmin", "Zvbb", "Zvkt", "Zihintntl", "Zicond", "Zimop", "Zcmop", "Zcb", "Zfa", "Zawrs")
_RVA23S = (*_RVA22S, "Svnapot", "Sstc", "Sscofpmf", "Ssnpm", "H", "Ssstateen", "Shcounterenw", "Shvstvala", "Shtvala",
           "Shvstvecd", "Shvsatpa", "Shgatpa")
PROFILES: dict[str, tuple[str, ...]] = {
    "rva20u64": _RVA20U, "rva20s64": (*_RVA20U, *_RVA20S),
    "rva22u64": _RVA22U, "rva22s64": (*_RVA22U, *_RVA22S),
    "rva23u64": _RVA23U, "rva23s64": (*_RVA23U, *_RVA23S),
}
"""What a profile makes mandatory ("RVA20", "RVA22", "RVA23")."""


def close(names: Iterable[str]) -> frozenset[str]:
    """The set that holds these extensions, what every hart has, and all that they imply. The names must exist."""
    found: set[str] = set()
    waiting = [*_BASE, *names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += BY_NAME[name].implies
    if {"Zaamo", "Zalrsc"} <= found:
        found.add("A")
    if {"C", "D"} <= found:
        found.add("Zcd")
    if "Zca" in found and ("D" not in found or "Zcd" in found):
        found.add("C")                  # privileged manual, "Machine ISA (misa) Register"
    if {"Zba", "Zbb", "Zbs"} <= found:
        found.add("B")
    return frozenset(found)


def without(isa: frozenset[str], *names: str) -> frozenset[str]:
    """The set less these extensions, less all that need one of them; M, A, B and C take their parts along."""
    gone = {part for name in names for part in (name, *(BY_NAME[name].implies if name in _WHOLES else ()))}
    while True:
        more = {row.name for row in EXTENSIONS if row.name not in gone and gone.intersection(row.implies)}
        if not more:
            if "Zcd" in gone and "D" not in gone:
                gone.add("C")           # with D, it is Zca and Zcd together
            return close(isa - gone)
        gone |= more


DEFAULT_ISA: frozenset[str] = close(row.name for row in EXTENSIONS if not row.is_option)
"""Everything that is implemented, but for what has to be asked for."""


def parse_isa(text: str, default: frozenset[str] = DEFAULT_ISA) -> frozenset[str]:
    """The set that an ISA string names: `rv64imac_zicsr_h`, `rv64gc_zba`, `rva22s64_h_sstc`, upper or lower case.

    Each extension may carry a version (`zicsr2p0`), which is ignored. A text that starts with + or - changes the
    set `default` instead: `-zihpm`, `+sstc-zicboz`. Raises OptionError for what does not exist, saying what would be
    right.
    """
    lowered = text.strip().lower()
    if lowered[:1] in ("+", "-"):
        return _changed(default, lowered, text)
    first, *rest = lowered.split("_")
    if first in PROFILES:
        wanted = [_known(name.lower(), text) for name in PROFILES[first]]
    elif first.startswith("rv64"):
        wanted = _first_part(first[4:], text)
    else:
        starts = f"rv64i, rv64g or a profile ({', '.join(PROFILES)})"
        raise OptionError(f"ISA {text}: it begins with {starts}, not '{first}'")
    for part in rest:
        wanted += _part(part, text)
    return close(wanted)


def _changed(isa: frozenset[str], lowered: str, text: str) -> frozenset[str]:
    """The set with +name added and -name taken away, left to right."""
    for sign, part in re.findall(r"([+-])([^+-]*)", lowered):
        names = _part(part, text)
        if sign == "-" and set(names) & set(_BASE):
            raise OptionError(f"ISA {text}: {', '.join(_BASE)} cannot be left out")
        isa = close({*isa, *names}) if sign == "+" else without(isa, *names)
    return isa


def _first_part(part: str, text: str) -> list[str]:
    """What follows rv64 up to the first underscore: single letters, and perhaps one longer name at their end."""
    if not part.startswith(("i", "g")):
        base = "E" if part.startswith("e") else part[:1] or "nothing"
        raise OptionError(f"ISA {text}: rv64i or rv64g begins it, not rv64 and {base}")
    return _part(part, text)


def _part(part: str, text: str) -> list[str]:
    """The extensions of one part between underscores."""
    names: list[str] = []
    while part:
        if part[0] in "zsx" or (len(part) > 1 and part in _SPELLING):
            return [*names, _known(part, text)]
        letter = re.match(r"([a-z])(\d+(p\d+)?)?", part)
        if letter is None:
            raise OptionError(f"ISA {text}: '{part}' is no extension")
        part = part[letter.end():]
        names += [_known(name.lower(), text) for name in (_GENERAL if letter[1] == "g" else (letter[1],))]
    return names


def _known(lowered: str, text: str) -> str:
    """The name as the manual spells it. Raises OptionError if the hart has no such extension."""
    plain = lowered if lowered in _SPELLING else re.sub(r"\d+(p\d+)?$", "", lowered)
    if plain in _SPELLING:
        return _SPELLING[plain]
    near = get_close_matches(plain, [name for name in _SPELLING if len(name) > 1], n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(_SPELLING))}"
    raise OptionError(f"ISA {text}: this hart has no extension '{lowered}'{hint}")


def _canonical_place(name: str) -> tuple[int, int, str]:
    """Where a name stands in an ISA string ("Canonical Order")."""
    if len(name) == 1:
        return 0, _SINGLE_LETTERS.index(name), name
    prefix = next(place for place, prefix in enumerate(_PREFIXES, 1) if name.startswith(prefix))
    category = _CATEGORIES.index(name[1].upper()) if name[0] == "Z" else 0
    return prefix, category, name


def names_in_order(isa: frozenset[str]) -> list[str]:
    """The set's names in lower case and canonical order; S and U, which misa shows, have no place in an ISA string."""
    return [name.lower() for name in sorted(isa - {"S", "U"}, key=_canonical_place)]


def format_isa(isa: frozenset[str]) -> str:
    """The canonical ISA string: `rv64imac_zicsr_zifencei`. `parse_isa` reads it back to the same set."""
    names = names_in_order(isa)
    letters = "".join(name for name in names if len(name) == 1)
    return "_".join([f"rv64{letters}", *(name for name in names if len(name) > 1)])


def misa_bits(isa: frozenset[str]) -> int:
    """The extension bits of misa: one for each single-letter name."""
    return sum(1 << ord(name) - ord("A") for name in isa if len(name) == 1)
