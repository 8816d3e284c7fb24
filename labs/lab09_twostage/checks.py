"""Lab 9's checks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

from ..judge import paging_guests
from ..judge.guests import Guest
from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..kit.paging import LOAD, STORE
from ..kit.two_stage import Found, View
from . import programs
from .cases import Case, Maker
from .machine import HLV, HLVX, HSV, Machine
from .reference import Reference
from .stage import ISA, Staging
from .worlds import Switching

STEPS = 100_000
ACCESSES = ("fetch", "load", "store")
TURNS = 90


def _told(view: View, gva: int, what: str, case: Case) -> str:
    entries = ", ".join(f"{hpa:#x}: {pte:#x}" for hpa, pte in case.entries) or "none"
    return (f"{what} {gva:#x} in {'VS' if view.mode else 'VU'}, SUM={int(view.sum)}, vsstatus.MXR={int(view.vmxr)}, "
            f"sstatus.MXR={int(view.mxr)}, vsatp {view.vsatp:#x}, hgatp {view.hgatp:#x}, entries {entries}")


def _wrong(index: int, call: str, got: object, wanted: object) -> Verdict:
    """A call with a wrong result: no guest runs, so the step is the call's number."""
    field, mine, right = "result", got, wanted
    if isinstance(got, Found) and isinstance(wanted, Found):
        field = next(name for name in ("cause", "is_implicit", "gpa", "hpa")
                     if getattr(got, name) != getattr(wanted, name))
        mine, right = getattr(got, field), getattr(wanted, field)
    shown = [f"{each:#x}" if type(each) is int and field != "cause" else f"{each!r:.60}" for each in (mine, right)]
    return failed(call.partition(", entries")[0], Divergence(index, 0, call, field, *shown))


def translating(trial: Trial) -> Verdict:
    """two_stage_translate, against a walker that knows only the manual, and a hart that agrees with it."""
    random, machine, reference = trial.random(), Machine(), Reference()
    maker = Maker(random)
    faults = 0
    for index in range(420):
        case = maker.case()
        view, gva, access = case.view, case.gva, case.access
        as_code = access == LOAD and random.random() < 0.25
        wanted = reference.translate(view, gva, access, as_code, case.ram())
        if not as_code:
            found = machine.translate(view, gva, access, case.ram())
            assert found == (wanted.cause, wanted.hpa), f"hart and manual differ: {found}, {wanted}, {case}"
        got = trial.student.call("TwoStage.two_stage_translate", view, gva, access, as_code, case.ram())
        faults += wanted.cause is not None
        if got != wanted:
            return _wrong(index, _told(view, gva, "a load of code at" if as_code else f"a {ACCESSES[access]} at", case),
                          got, wanted)
    return passed(calls=index + 1, faults=faults)


def loading(trial: Trial) -> Verdict:
    """hlv and hlvx, against a hart that executes the instruction."""
    random, machine = trial.random(), Machine()
    maker = Maker(random)
    for index in range(260):
        as_code = random.random() < 0.3
        size = random.choice(tuple(HLVX)) if as_code else random.choice((1, 2, 4, 8))
        is_signed = not as_code and size < 8 and random.random() < 0.5
        case = maker.case(size)
        view, gva = case.view, case.gva
        name = HLVX[size] if as_code else HLV[size, is_signed]
        wanted = machine.access(view, f"{name} a2, (a0)", gva, 0, case.ram())
        arguments = (view, gva, size) if as_code else (view, gva, size, is_signed)
        got = trial.student.call("TwoStage.hlvx" if as_code else "TwoStage.hlv", *arguments, case.ram())
        if got != wanted or type(got) is not type(wanted):
            return _wrong(index, _told(view, gva, name, case), got, wanted)
    return passed(calls=index + 1)


def storing(trial: Trial) -> Verdict:
    """hsv, against a hart that executes it; what is in memory then, too."""
    random, machine = trial.random(), Machine()
    maker = Maker(random)
    for index in range(160):
        size, value = random.choice(tuple(HSV)), random.getrandbits(64)
        case = maker.case(size)
        view, gva = case.view, case.gva
        right, mine = case.ram(), case.ram()
        right.words.setdefault(Reference().translate(view, gva, STORE, False, mine).hpa & ~7 or case.data[0], 0)
        found = machine.access(view, f"{HSV[size]} a1, (a0)", gva, value, right)
        wanted = found if isinstance(found, Found) else None
        got = trial.student.call("TwoStage.hsv", view, gva, size, value, mine)
        call = _told(view, gva, HSV[size], case)
        if got != wanted:
            return _wrong(index, call, got, wanted)
        if not isinstance(mine.words, dict) or any(mine.words.get(hpa, 0) != right.words.get(hpa, 0)
                                                   for hpa in {*mine.words, *right.words}):
            return failed(call.partition(", entries")[0], Divergence(
                index, 0, call, "memory", "another than behind the instruction", f"{value:#x} at {case.data[0]:#x}"))
    return passed(calls=index + 1)


def in_guests(make: Callable[[Random], Guest], count: int = 2, moves: bool = False) -> Callable[[Trial], Verdict]:
    """Some guests of a kind, in lockstep with the bare hart, every G-stage leaf looked at. moves: the hypervisor takes
    frames away."""

    def run(trial: Trial) -> Verdict:
        total: dict[str, int] = {}
        for index in range(count):
            random = trial.random(str(index))
            with trial.another() as student:
                counted = Staging(trial, make(random), random if moves else None, student).run(STEPS)
            total = {name: total.get(name, 0) + value for name, value in counted.items()}
        return passed(counted=total)

    return run


def cost(trial: Trial) -> Verdict:
    """Two processes taking turns, lab 4's guest: G-stage faults and fences, against the pages that it touches."""
    guest = paging_guests.turns(trial.random())
    counted = Staging(trial, guest).run(STEPS)
    shadow = guest.start(guest.config("deprivileged", isa=ISA))
    shadow.run(STEPS)
    spent = counted["fills"] + counted["fences"]
    percent = -(-100 * spent // counted["pages"])
    share = share_of_band(percent, ((100, Fraction(1)), (150, Fraction(2, 3)), (250, Fraction(1, 3))))
    message = (f"{counted['fills']} faults and {counted['fences']} fences for {counted['pages']} pages: {percent} %; "
               f"{counted['exits']} exits, where lab 4's technique takes {sum(shadow.exits)}")
    if share == 1:
        return passed(message, counted, shadow_exits=sum(shadow.exits))
    return failed(message, share=share, counted=counted, shadow_exits=sum(shadow.exits))


def switching(is_same: bool) -> Callable[[Trial], Verdict]:
    """Two guests on one hart, against each alone; with a VMID each, or one for both."""

    def run(trial: Trial) -> Verdict:
        random = trial.random()
        guests = programs.guest(random, "first"), programs.guest(random, "second")
        vmid = random.randrange(1, 1 << 14)
        vmids = (vmid, vmid if is_same else vmid ^ random.randrange(1, 1 << 14))
        return passed(counted=Switching(trial, guests, vmids, random, trial.student).run(TURNS))

    return run


