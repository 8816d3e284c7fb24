"""Lab 3's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations, product
from random import Random
from typing import Final

from ...core.isa.csrs import BY_NAME
from ...core.vmm.csr_file import CSR_NAMES, SATP, SIE, SIP, SSTATUS, STVEC
from ..judge.guests import Guest
from ..judge.lockstep import csr_field
from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..judge.virtual import check
from ..kit.hart import SSTATUS_FS, SSTATUS_SD, SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP, SUPERVISOR, USER, VirtualHart
from ..kit.interrupts import LCOFI, MACHINE, NEVER, SEI, SSI, STI, VSEI, VSSI, VSTI, Clock, Gates, Taken, Wait
from . import programs
from .delivery import Delivery, told
from .oracle import ALL, CODE, EXCEPTIONS, LEVELS, ORDER, Machine, bits

STEPS: Final = 200_000
MODES: Final = ((MACHINE, False), (SUPERVISOR, False), (USER, False), (SUPERVISOR, True), (USER, True))
NAMES: Final = {(MACHINE, False): "M", (SUPERVISOR, False): "HS", (USER, False): "U", (SUPERVISOR, True): "VS",
                (USER, True): "VU"}
SUPERVISORS: Final = (SSI, STI, SEI)
VIRTUAL: Final = (VSSI, VSTI, VSEI)
ECALL: Final = 8


def delegations(interrupts: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """mideleg and hideleg, for each way there is to delegate these."""
    for levels in product(*(range(LEVELS[each]) for each in interrupts)):
        mideleg = hideleg = 0
        for each, level in zip(interrupts, levels, strict=True):
            if each in VIRTUAL:  # never M's: only whether they go on to VS is open
                mideleg, hideleg = mideleg | 1 << each, hideleg | level << each
            elif level:
                mideleg, hideleg = mideleg | 1 << each, hideleg | (level == LEVELS[LCOFI] - 1) << each
        yield mideleg, hideleg


def cases(random: Random) -> list[Gates]:
    """Each interrupt alone, and each pair, under every delegation and in every mode; and heaps."""
    found = []
    for one in ORDER:
        for (mideleg, hideleg), (mode, virtual), on in product(delegations((one,)), MODES, (False, True)):
            others = random.getrandbits(2)
            mie, sie, vsie = (on, on, on) if others == 0 else (on, bool(others & 1), bool(others & 2))
            found.append(Gates(1 << one, ALL, mideleg, hideleg, mode, virtual, mie, sie, vsie))
    for pair in combinations(ORDER, 2):
        for (mideleg, hideleg), (mode, virtual) in product(delegations(pair), MODES):
            mie, sie, vsie = (random.random() < 0.8 for _ in range(3))
            found.append(Gates(bits(*pair), ALL, mideleg, hideleg, mode, virtual, mie, sie, vsie))
    for _ in range(160):
        mode, virtual = random.choice(MODES)
        mie, sie, vsie = (random.random() < 0.6 for _ in range(3))
        found.append(Gates(random.getrandbits(14) & ALL, random.getrandbits(14) & ALL, random.getrandbits(14),
                           random.getrandbits(14), mode, virtual, mie, sie, vsie))
    random.shuffle(found)
    return found


def picking(trial: Trial) -> Verdict:
    """pick_pending alone, against a hart with all interrupts and all modes."""
    machine = Machine()
    all_cases = cases(trial.random())
    none = 0
    for index, case in enumerate(all_cases):
        gates = machine.set(case)
        wanted = machine.pick(gates)
        got = trial.student.call("Traps.pick_pending", gates)
        none += wanted is None
        if got != wanted:
            call = (f"pick_pending in {NAMES[gates.mode, gates.virtual]}-mode, pending {gates.pending:#x}, enabled "
                    f"{gates.enabled:#x}, mideleg {gates.mideleg:#x}, hideleg {gates.hideleg:#x}, "
                    f"MIE={int(gates.mie)}, SIE={int(gates.sie)}, vsstatus.SIE={int(gates.vsie)}")
            is_both = isinstance(got, Taken) and wanted is not None
            field = "interrupt" if not is_both or got.cause != wanted.cause else "target"  # type: ignore[union-attr]
            return failed(call, Divergence(index, CODE, call, field, told(got), told(wanted)))
    return passed(calls=len(all_cases), none=none)


def _new_hart(random: Random, mode: int) -> VirtualHart:
    """A hart with values that its CSRs may hold, about to execute what is at CODE."""
    csrs = {number: random.getrandbits(64) & BY_NAME[name].write_mask for number, name in CSR_NAMES.items()}
    csrs |= {SATP: 0, SIP: 0, SIE: 0, STVEC: CODE + 0x100 * random.randrange(1, 16) | random.randrange(2), 0x10A: 0}
    csrs[SSTATUS] = (csrs[SSTATUS] | BY_NAME["sstatus"].reset) & ~SSTATUS_FS
    gprs = [0, *(random.getrandbits(64) for _ in range(31))]
    gprs[10] = CODE + 0x801
    return VirtualHart(gprs, CODE, mode, csrs, {})


def injecting(trial: Trial) -> Verdict:
    """inject alone: each trap from each mode and stack of sstatus, against a hart that takes it."""
    random, machine = trial.random(), Machine()
    traps = [(cause, False) for cause in EXCEPTIONS] + [(cause, True) for cause in SUPERVISORS]
    all_cases = [(*trap, mode, vectored, sie, spie, spp) for trap, mode, vectored, sie, spie, spp in product(
        traps, (SUPERVISOR, USER), (0, 1), (0, SSTATUS_SIE), (0, SSTATUS_SPIE), (0, SSTATUS_SPP))
        if not (trap[1] and mode == SUPERVISOR and not sie) and (trap[0] != ECALL or mode == USER)]
    random.shuffle(all_cases)
    for index, (cause, is_interrupt, mode, vectored, sie, spie, spp) in enumerate(all_cases):
        hart = _new_hart(random, mode)
        hart.csrs[STVEC] = hart.csrs[STVEC] & ~3 | vectored
        hart.csrs[SSTATUS] = hart.csrs[SSTATUS] & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP) | sie | spie | spp
        hart.csrs[SIE] = bits(cause) if is_interrupt else 0
        wanted, tval = machine.trap(hart, cause, is_interrupt)
        call = (f"inject({cause}, {tval:#x}, {is_interrupt}) in {'S' if mode else 'U'}-mode, SIE={int(bool(sie))} "
                f"SPIE={int(bool(spie))} SPP={int(bool(spp))}, stvec {'vectored' if vectored else 'direct'}")
        trial.student.call("Traps.inject", hart, cause, tval, is_interrupt)
        check(hart)
        wrong = _differs(hart, wanted)
        if wrong is not None:
            return failed(call, Divergence(index, CODE, call, *wrong))
    return passed(calls=len(all_cases))


def _differs(got: VirtualHart, wanted: VirtualHart) -> tuple[str, str, str] | None:
    """The first field of a trap that is wrong."""
    for number, name in CSR_NAMES.items():
        mask = ~SSTATUS_SD if number == SSTATUS else -1
        if (got.csrs[number] ^ wanted.csrs[number]) & mask:
            field = csr_field(name, (got.csrs[number] ^ wanted.csrs[number]) & mask)
            return field, f"{got.csrs[number]:#x}", f"{wanted.csrs[number]:#x}"
    for field, mine, right in (("pc", got.pc, wanted.pc), ("mode", got.mode, wanted.mode), ("steps", got.steps, 1)):
        if mine != right:
            return field, f"{mine:#x}", f"{right:#x}"
    changed = next((index for index in range(1, 32) if got.gprs[index] != wanted.gprs[index]), None)
    return None if changed is None else (f"x{changed}", f"{got.gprs[changed]:#x}", f"{wanted.gprs[changed]:#x}")


def timing(trial: Trial) -> Verdict:
    """set_timer and on_clock alone, asked at all kinds of moments, against a hart's own timer: STIP is what it says,
    and the next alarm comes no later than the next tick."""
    random, machine, student = trial.random(), Machine(), trial.student
    calls = step = 0
    for _ in range(14):
        per_tick = random.choice((1, 2, 3, 7, 10, 16))
        hart, deadline, alarm = _new_hart(random, SUPERVISOR), NEVER, None
        for turn in range(10):
            step += random.choice((0, 1, per_tick, random.randrange(1, 40 * per_tick)))
            is_alarm = alarm is not None and (random.random() < 0.5 or step >= alarm)
            step = alarm if is_alarm and alarm is not None and alarm < step + 1000 * per_tick else step
            clock = Clock(step, per_tick)
            if turn == 0 or (not is_alarm and random.random() < 0.4):
                deadline = random.choice((0, clock.time, clock.time + 1, clock.time + random.randrange(2, 30), NEVER,
                                          NEVER - 1))
                call = f"set_timer({deadline:#x}) at step {step:,}, {per_tick} steps a tick"
                said = student.call("Traps.set_timer", hart, clock, deadline)
            else:
                call = f"on_clock at step {step:,}, {per_tick} steps a tick, deadline {deadline:#x}"
                said = student.call("Traps.on_clock", hart, clock)
            calls += 1
            check(hart)
            alarm = said if type(said) is int else None
            wrong = _mistimed(machine, hart, clock, deadline, said, call[0] == "s")
            if wrong is not None:
                return failed(call, Divergence(step, CODE, call, *wrong))
            alarm = None if alarm is None else max(alarm, step)
    return passed(calls=calls)


def _mistimed(machine: Machine, hart: VirtualHart, clock: Clock, deadline: int, said: object,
              may_ask_again: bool) -> tuple[str, str, str] | None:
    """What is wrong after a call: STIP, or when the next is to be. may_ask_again: the alarm may be for now."""
    is_due, got = machine.is_due(clock, deadline), hart.csrs[SIP] >> STI & 1
    fires = deadline * clock.steps_per_tick
    if said is not None and (type(said) is not int or said < 0):
        return "alarm", f"{said!r:.40}", "a step, or None"
    asks_again = type(said) is int and said <= clock.step
    if asks_again and not may_ask_again:
        return "alarm", f"step {said}", f"a step after {clock.step:,}, or None"
    if got != is_due and not asks_again:
        return "sip.STIP", str(got), str(int(is_due))
    if not is_due and deadline < NEVER and (type(said) is not int or said > fires):
        return "alarm", str(said), f"step {fires:,}, or before"
    return None


def waiting(trial: Trial) -> Verdict:
    """wfi alone: what is pending, what is enabled, SIE, mode and deadline, against a hart that executes it."""
    random, machine = trial.random(), Machine()
    calls = 0
    kinds = list(product((0, SSI, STI, SEI), (0, SSI, STI, SEI), (SUPERVISOR, SUPERVISOR, SUPERVISOR, USER), (0, 1),
                         ("never", "armed")))
    random.shuffle(kinds)
    for pending, enabled, mode, on, armed in kinds[:110]:
        per_tick = random.choice((1, 3, 10))
        clock = Clock(random.randrange(1 << 20), per_tick)
        deadline = NEVER if armed == "never" else clock.time + random.randrange(2, 50)
        if pending == STI:
            deadline = random.randrange(clock.time + 1)
        hart = _new_hart(random, mode)
        student = trial.student
        student.call("Traps.set_timer", hart, clock, deadline)
        if pending == STI:
            student.call("Traps.on_clock", hart, clock)
        hart.csrs[SIP] = bits(pending) & ~1
        hart.csrs[SIE] = bits(enabled, random.choice(SUPERVISORS)) & ~1 if enabled else 0
        hart.csrs[SSTATUS] = hart.csrs[SSTATUS] & ~SSTATUS_SIE | SSTATUS_SIE * on
        before = VirtualHart(list(hart.gprs), hart.pc, hart.mode, dict(hart.csrs), {})
        wanted = machine.wait(hart, clock, deadline)
        hart.steps = 0
        got = student.call("Traps.wfi", hart, clock)
        check(hart)
        calls += 1
        call = (f"wfi in {'S' if mode else 'U'}-mode at step {clock.step:,}, sip {hart.csrs[SIP]:#x}, sie "
                f"{hart.csrs[SIE]:#x}, SIE={on}, deadline at step {deadline * per_tick:,}")
        if got != wanted:
            return failed(call, Divergence(clock.step, CODE, call, "wfi", _waits(got), _waits(wanted)))
        steps = 0 if wanted is None else 1
        if (hart.pc, hart.steps, hart.csrs, hart.mode) != (CODE + 4 * steps, steps, before.csrs, mode):
            return failed(call, Divergence(clock.step, CODE, call, "hart", f"pc {hart.pc:#x}, {hart.steps} steps",
                                           f"pc {CODE + 4 * steps:#x}, {steps} steps, and nothing else"))
    return passed(calls=calls)


def _waits(wait: object) -> str:
    if wait is None:
        return "None: illegal"
    if not isinstance(wait, Wait):
        return f"{wait!r:.40}"
    return f"sleeps={wait.sleeps!r:.20}, until={wait.until!r:.30}"


def in_guests(make: Callable[[Random], Guest], count: int = 3) -> Callable[[Trial], Verdict]:
    """Some guests of a kind, in lockstep with the bare hart; each with a clock of its own, and a hypervisor that looks
    at it now and then."""

    def run(trial: Trial) -> Verdict:
        total: dict[str, int] = {}
        for number in range(count):
            random = trial.random(str(number))
            guest = make(random)
            with trial.another() as student:
                counted = Delivery(trial, guest, random.randrange(4, 12), random, student=student).run(STEPS)
            total = {name: total.get(name, 0) + value for name, value in counted.items()}
        return passed(counted=total)

    return run


def wakes(trial: Trial) -> Verdict:
    """How often the hypervisor's timer goes off, against how often a tick is due."""
    random = trial.random()
    counted = Delivery(trial, programs.watchdog(random), random.randrange(4, 12)).run(STEPS)
    percent = -(-100 * counted["wakes"] // counted["ticks"])
    share = share_of_band(percent, ((100, Fraction(1)), (400, Fraction(2, 3)), (40_000, Fraction(1, 3))))
    message = f"{counted['wakes']} alarms for {counted['ticks']} ticks that were due: {percent} %"
    if share == 1:
        return passed(message, counted)
    return failed(message, share=share, counted=counted)
