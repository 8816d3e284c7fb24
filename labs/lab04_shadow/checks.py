"""Lab 4's checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from random import Random

from ...core.vmm.exits import ExitReason
from ...core.vmm.walker import USER, walk
from ..judge import paging_guests as programs
from ..judge.guests import Guest
from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..kit.paging import Context, Walk
from .pager import ISA, Shadowing

STEPS = 100_000
TABLES = (0x8030_0000, 0x8030_1000, 0x8030_2000)
"""Of level 0, 1 and 2."""
FRAMES = (0x8000_0000, 0x8020_0000, 0x8031_5000, 0x1000_0000, 0x9000_0000, 0x8060_3000)
"""RAM, and what is none."""
KEPT = 0xDE
"""R, W, X, U, A, D of a leaf."""
ACCESSES = ("fetch", "load", "store")


@dataclass(frozen=True)
class Case:
    """One access, and the entries that lie on its way."""

    context: Context
    gva: int
    access: int
    entries: tuple[tuple[int, int], ...]


def _way(gva: int, leaf: int, level: int) -> tuple[tuple[int, int], ...]:
    """Good pointers down to a leaf at a level."""
    entries = []
    for above in range(2, level, -1):
        entries.append((TABLES[above] + 8 * (gva >> 12 + 9 * above & 511), TABLES[above - 1] >> 2 | programs.V))
    return (*entries, (TABLES[level] + 8 * (gva >> 12 + 9 * level & 511), leaf))


def cases(random: Random) -> list[Case]:
    """Leaves of every kind, for everybody, at every level; and all that can be wrong with tables."""
    found = []
    rights = list(product(programs.FLAGS, (0, programs.U), (0, 1), (False, True), (False, True), range(3)))
    for flags, user, mode, sum_, mxr, access in random.sample(rights, 320):
        level = random.randrange(3)
        gva = random.randrange(1 << 38) | random.choice((0, 0, -1 << 38)) & (1 << 64) - 1
        frame = random.choice(FRAMES) & -1 << 12 + 9 * level
        found.append(Case(_context(random, mode, sum_, mxr), gva, access,
                          _way(gva, frame >> 2 | flags | user | programs.V, level)))
    good = programs.V | programs.R | programs.W | programs.X | programs.A | programs.D
    for access, level in product(range(3), range(3)):
        odd = [0, good & ~programs.V, 1 << random.randrange(54, 61) | good,
               programs.V | programs.W | programs.A | programs.D, 0x4000_0000 >> 2 | programs.V,
               0x8030_7000 >> 2 | programs.V | programs.A,
               0x8030_7000 >> 2 | programs.V | programs.D, 0x8030_7000 >> 2 | programs.V | programs.U]
        if level:
            odd += [(0x8000_0000 >> 2) + (1 << 10 + random.randrange(9 * level)) | good for _ in range(3)]
        for entry in odd:
            gva = random.randrange(1 << 38)
            pte = entry | (0x8000_0000 >> 2 if entry & 0xE and entry >> 10 & (1 << 44) - 1 == 0 else 0)
            found.append(Case(_context(random, 1), gva, access, _way(gva, pte, level)))
        gva = random.randrange(1 << 38) | 1 << random.randrange(39, 64)
        found.append(Case(_context(random, 1), gva, access, _way(gva, 0x8000_0000 >> 2 | good, 2)))
        found.append(Case(Context(0, random.randrange(2), False, False), random.choice(FRAMES) + 8, access, ()))
    random.shuffle(found)
    return found


def _context(random: Random, mode: int, sum_: bool = False, mxr: bool = False) -> Context:
    return Context(8 << 60 | random.randrange(1 << 16) << 44 | TABLES[2] >> 12, mode, sum_, mxr)


def asked(name: str) -> Callable[[Trial], Verdict]:
    """walk_guest or classify_fault alone."""

    def run(trial: Trial) -> Verdict:
        shadowing = Shadowing(trial, Guest.of("_start: j _start\n", "still.s"))
        ram = shadowing.lockstep.vm.ram
        all_cases = cases(trial.random())
        for index, case in enumerate(all_cases):
            context, gva, access = case.context, case.gva, case.access
            for gpa, pte in case.entries:
                ram.store(gpa, 8, pte)
            got = trial.student.call(f"ShadowPager.{name}", context, gva, access)
            found = walk(ram.load_pte, context.satp, gva, access, context.mode == USER, context.sum, context.mxr)
            wanted: object
            if name == "walk_guest":
                wanted = Walk(found.cause) if found.cause is not None else Walk(None, found.gpa, found.perms & KEPT)
                if isinstance(got, Walk) and got.cause is not None:
                    got = Walk(got.cause)
            else:
                wanted = shadowing.judge(context, gva, access)
            if got != wanted:
                entries = ", ".join(f"{pte:#x}" for _, pte in found.levels) or "none"
                call = (f"{name}({gva:#x}, {ACCESSES[access]}) in {'S' if context.mode else 'U'}-mode, "
                        f"SUM={int(context.sum)}, MXR={int(context.mxr)}, entries {entries}")
                field = next((each for each in ("kind", "cause", "gpa", "flags")
                              if getattr(got, each, None) != getattr(wanted, each, None)), "result")
                return failed(call, Divergence(index, 0, call, field, f"{getattr(got, field, got)!r:.40}",
                                               f"{getattr(wanted, field, wanted)!r:.40}"))
            for gpa, _ in case.entries:
                ram.store(gpa, 8, 0)
        return passed(calls=len(all_cases))

    return run


def in_guests(make: Callable[[Random], Guest], count: int = 3) -> Callable[[Trial], Verdict]:
    """Some guests of a kind, in lockstep with the bare hart, every shadow leaf looked at."""

    def run(trial: Trial) -> Verdict:
        total: dict[str, int] = {}
        for number in range(count):
            # Each guest begins with empty tables, so each gets a pager of its own.
            with trial.another() as student:
                counted = Shadowing(trial, make(trial.random(str(number))), student=student).run(STEPS)
            total = {name: total.get(name, 0) + value for name, value in counted.items()}
        return passed(counted=total)

    return run


def fills(trial: Trial) -> Verdict:
    """Two processes taking turns: shadow fills, against the hypervisor that drops everything at every fence and
    switch."""
    guest = programs.turns(trial.random())
    counted = Shadowing(trial, guest).run(STEPS)
    plain = guest.start(guest.config("deprivileged", isa=ISA, policy="flush"))
    plain.run(STEPS)
    naive = plain.exits[ExitReason.SHADOW_FILL]
    percent = -(-100 * counted["fills"] // naive)
    share = share_of_band(percent, ((55, Fraction(1)), (80, Fraction(2, 3)), (100, Fraction(1, 3))))
    message = f"{counted['fills']} fills where dropping everything takes {naive}: {percent} %"
    if share == 1:
        return passed(message, counted, naive=naive)
    return failed(message, share=share, counted=counted, naive=naive)
