"""Lab 2's checks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Final

from ...core.isa.csrs import BY_NAME
from ...core.vmm.csr_file import CSR_NAMES, SATP, SENVCFG, SSTATUS, SSTATUS_SD
from ..judge.guests import Guest
from ..judge.lockstep import csr_field
from ..judge.runner import share_of_band
from ..judge.session import Session
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..judge.virtual import check
from ..kit.hart import CYCLE, INSTRET, SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP, SUPERVISOR, TIME, USER, VirtualHart
from . import programs
from .emulator import ISA, Emulating, rows

STRANGE: Final = (0x300, 0x302, 0x600, 0x680, 0x200, 0x5A8, 0xF14, 0x7A0, 0xC03, 0x14D, 0x10C)
"""CSRs that this guest has not, though its hart may."""
PROGRAMS: Final = 4
STEPS: Final = 200_000


def new_hart(random: Random, mode: int = SUPERVISOR) -> VirtualHart:
    """A hart with values that its CSRs may hold."""
    csrs = {row.number: random.getrandbits(64) & row.write_mask for row in rows() if not row.is_counter}
    csrs[SATP] &= 0x8FFF_FFFF_FFFF_FFFF
    csrs[SENVCFG] &= ~(3 << 4)
    csrs[SSTATUS] |= BY_NAME["sstatus"].reset
    counters = {number: random.getrandbits(40) for number in (CYCLE, TIME, INSTRET)}
    gprs = [0, *(random.getrandbits(64) for _ in range(31))]
    return VirtualHart(gprs, 0x8020_0000 + 4 * random.randrange(1 << 10), mode, csrs, counters)


def _load(trial: Trial) -> Session:
    trial.student.call("Emulator.use", rows())
    return trial.student


def _name(number: int) -> str:
    return CSR_NAMES.get(number, {CYCLE: "cycle", TIME: "time", INSTRET: "instret"}.get(number, f"CSR {number:#x}"))


def _wrong(index: int, hart: VirtualHart, call: str, field: str, got: object, wanted: object) -> Verdict:
    """A call with a wrong result: no guest runs, so the step is the call's number."""
    def shown(value: object) -> str:
        return f"{value:#x}" if type(value) is int else str(value)[:60]

    return failed(f"{call}: {field}", Divergence(index, hart.pc, call, field, shown(got), shown(wanted)))


def reading(trial: Trial) -> Verdict:
    """Every CSR that the guest has, in S-mode."""
    student, random = _load(trial), trial.random()
    index = 0
    for row in rows():
        for fs in range(4):
            hart = new_hart(random)
            hart.csrs[SSTATUS] = hart.csrs[SSTATUS] & ~(3 << 13) | fs << 13
            wanted = hart.counters[row.number] if row.is_counter else hart.csrs[row.number]
            if row.number == SSTATUS:
                wanted = wanted & ~SSTATUS_SD | (SSTATUS_SD if fs == 3 else 0)
            got = student.call("Emulator.csr_read", hart, row.number)
            if got != wanted:
                field = csr_field(row.name, got ^ wanted) if type(got) is int else row.name
                return _wrong(index, hart, f"csr_read({row.name})", field, got, wanted)
            index += 1
    return passed(calls=index)


def _written(number: int, old: int, value: int) -> int:
    """What the hypervisor's own rows make of a write."""
    row = BY_NAME[CSR_NAMES[number]]
    mask = row.write_mask & ~row.absent_bits(ISA)
    if number == SATP and value >> 60 not in (0, 8, 9, 10):
        return old
    if number == SENVCFG and value >> 4 & 3 == 2:
        mask &= ~(3 << 4)
    return old & ~mask | value & mask


def writing(names: tuple[str, ...], rounds: int = 12) -> Callable[[Trial], Verdict]:
    """csr_write on some CSRs, with values of every kind."""

    def run(trial: Trial) -> Verdict:
        student, random = _load(trial), trial.random()
        writer = programs.Writer(random)
        for index in range(rounds * len(names)):
            name = names[index % len(names)]
            number, hart, value = BY_NAME[name].number, new_hart(random), writer.value()
            if name == "satp":
                value = value & (1 << 60) - 1 | random.randrange(16) << 60
            if name == "senvcfg":
                value = value & ~(3 << 4) | random.randrange(4) << 4
            before = dict(hart.csrs)
            wanted = before | {number: _written(number, before[number], value)}
            call = f"csr_write({name}, {value:#x})"
            if student.call("Emulator.csr_write", hart, number, value) is not True:
                return _wrong(index, hart, call, "result", "not True", "True")
            check(hart)
            for other, right in wanted.items():
                got, mask = hart.csrs[other], ~SSTATUS_SD if other == SSTATUS else -1
                if (got ^ right) & mask:
                    return _wrong(index, hart, call, csr_field(CSR_NAMES[other], (got ^ right) & mask), got, right)
        return passed(calls=rounds * len(names))

    return run


def privilege(trial: Trial) -> Verdict:
    """U-mode, read-only counters, and CSRs that are not there: refused, and nothing changed. What is allowed stays
    allowed."""
    student, random = _load(trial), trial.random()
    cases: list[tuple[int, int, bool, bool]] = []
    for row in rows():
        cases += [(row.number, SUPERVISOR, True, not row.is_counter), (row.number, USER, False, False)]
    cases += [(number, mode, False, False) for number in STRANGE for mode in (USER, SUPERVISOR)]
    random.shuffle(cases)
    for index, (number, mode, may_read, may_write) in enumerate(cases):
        hart = new_hart(random, mode)
        enabled = random.getrandbits(3)
        hart.csrs[0x106] = enabled
        if number in (CYCLE, TIME, INSTRET) and mode == USER:
            may_read = bool(enabled >> (number & 31) & 1)
        before = dict(hart.csrs)
        where = f"in {'S' if mode else 'U'}-mode"
        got = student.call("Emulator.csr_read", hart, number)
        if (got is not None) != may_read:
            return _wrong(index, hart, f"csr_read({_name(number)}) {where}", "result", got,
                          "a value" if may_read else "None")
        wrote = student.call("Emulator.csr_write", hart, number, before.get(number, 0))
        if wrote is not may_write:
            return _wrong(index, hart, f"csr_write({_name(number)}) {where}", "result", wrote, may_write)
        if not may_write and hart.csrs != before:
            return _wrong(index, hart, f"csr_write({_name(number)}) {where}", "csrs", "changed", "unchanged")
    return passed(calls=2 * len(cases))


def returning(trial: Trial) -> Verdict:
    """sret, from every combination of mode, SPP, SPIE and SIE."""
    student, random = _load(trial), trial.random()
    cases = [(mode, spp, spie, sie) for mode in (SUPERVISOR, USER) for spp in (0, SSTATUS_SPP)
             for spie in (0, SSTATUS_SPIE) for sie in (0, SSTATUS_SIE)]
    random.shuffle(cases)
    for index, (mode, spp, spie, sie) in enumerate(cases):
        hart = new_hart(random, mode)
        others = hart.csrs[SSTATUS] & ~(SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)
        hart.csrs[SSTATUS] = others | spp | spie | sie
        before, pc = dict(hart.csrs), hart.pc
        call = f"emulate_sret with SPP={int(bool(spp))} SPIE={int(bool(spie))} SIE={int(bool(sie))}"
        done = student.call("Emulator.emulate_sret", hart)
        check(hart)
        if mode == USER:
            if done is not False or hart.csrs != before or hart.pc != pc or hart.steps:
                return _wrong(index, hart, "emulate_sret in U-mode", "result", done, "False, and nothing changed")
            continue
        status = others | SSTATUS_SPIE | (SSTATUS_SIE if spie else 0)
        facts = (("result", done, True), ("pc", hart.pc, before[0x141]), ("mode", hart.mode, int(bool(spp))),
                 ("steps", hart.steps, 1))
        for field, got, wanted in facts:
            if got is not wanted and got != wanted:
                return _wrong(index, hart, call, field, got, wanted)
        if hart.csrs != before | {SSTATUS: status}:
            got = hart.csrs[SSTATUS]
            return _wrong(index, hart, call, csr_field("sstatus", got ^ status), got, status)
    return passed(calls=len(cases))


def in_guests(make: Callable[[Random], Guest], count: int = PROGRAMS) -> Callable[[Trial], Verdict]:
    """Some guests of a kind, in lockstep with the bare hart."""

    def run(trial: Trial) -> Verdict:
        total = {"exits": 0, "instructions": 0}
        for number in range(count):
            counted = Emulating(trial, make(trial.random(str(number)))).run(STEPS)
            for name in total:
                total[name] += counted[name]
        return passed(counted=total)

    return run


def exits(trial: Trial) -> Verdict:
    """A kernel's entry and exit path: how many exits it takes, against one for each privileged instruction."""
    random = trial.random()
    guest = programs.storm(random)
    counted = Emulating(trial, guest).run(STEPS)
    plain = guest.start(guest.config("deprivileged", isa=ISA))
    plain.run(STEPS)
    naive = plain.vcpus[0].exits[1]
    percent = -(-100 * counted["exits"] // naive)
    share = share_of_band(percent, ((45, Fraction(1)), (70, Fraction(2, 3)), (99, Fraction(1, 3))))
    message = f"{counted['exits']} exits where one each makes {naive}: {percent} %"
    if share == 1:
        return passed(message, counted, naive=naive)
    return failed(message, share=share, counted=counted, naive=naive)


