"""Lab 5's checks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any, Final

from ...core.devices.console import ConsoleEnd
from ...core.devices.uart16550 import Uart16550
from ..judge.guests import Guest
from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..kit.devices import HostMemory, MmioRegion, RingLayout
from . import rings
from .devices import RINGS, Devising, StudentsRam, dispatch, shown
from .rings import RAM_END, Ring

STEPS: Final = 200_000
SIZES: Final = (1, 2, 4, 8)


def _wrong(index: int, call: str, field: str, got: object, wanted: object) -> Verdict:
    """A call with a wrong result: no guest runs, so the step is the call's number."""
    return failed(f"{call}: {field}", Divergence(index, 0, call, field, shown(got), shown(wanted)))


def _map(random: Random) -> list[MmioRegion]:
    """Regions of odd sizes, some right behind each other, in no order."""
    regions, base = [], 0x1000 * random.randrange(1, 1 << 16)
    for number in range(random.randrange(1, 9)):
        base += random.choice((0, 0, 4, 0x100, 0x1000, 0x10_0000))
        size = random.choice((0x18, 0x100, 0x1000, 12, 4, 0x6000))
        regions.append(MmioRegion(f"device {number}", base, size))
        base += size
    random.shuffle(regions)
    return regions


def dispatching(trial: Trial) -> Verdict:
    """mmio_dispatch on maps of every kind."""
    random, index = trial.random(), 0
    for _ in range(12):
        regions = _map(random)
        trial.student.call("Bus.use", regions)
        for _ in range(24):
            region = random.choice(regions)
            gpa = random.choice((region.base, region.base + region.size)) + random.randrange(-9, 10)
            gpa = max(0, random.choice((gpa, gpa & -8, region.base + random.randrange(region.size))))
            size = random.choice(SIZES)
            got, wanted = trial.student.call("Bus.mmio_dispatch", gpa, size), dispatch(regions, gpa, size)
            if got != wanted:
                return _wrong(index, f"mmio_dispatch({gpa:#x}, {size})", "result", got, wanted)
            index += 1
    return passed(calls=index)


class _Line:
    """The shipped UART, with both ends of its line."""

    def __init__(self) -> None:
        self.sent = b""
        self.level = False
        self.console = ConsoleEnd(self._send)
        self.device = Uart16550(self.console, self._drive)

    def _send(self, data: bytes) -> None:
        self.sent += data

    def _drive(self, level: bool) -> None:
        self.level = level

    def store(self, offset: int, value: int) -> bytes:
        """What it sends."""
        self.sent = b""
        self.device.store(offset, 1, value)
        return self.sent


NAMES: Final = (("RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR"),
                ("THR", "IER", "FCR", "LCR", "MCR", "LSR", "MSR", "SCR"))
"""Registers as they are read and written."""
VALUES: Final = {1: (0, 1, 2, 3, 3, 0x0F), 2: (0, 1, 5, 7, 0xC1, 0x81, 0x41, 0xC7), 3: (3, 3, 3, 0x83, 0x1B),
                 4: (0, 3, 8, 0x0B, 0xE3)}


def _operations(random: Random, count: int) -> list[tuple[str, int, Any]]:
    """What a driver and a typist do."""
    found: list[tuple[str, int, Any]] = []
    for _ in range(count):
        kind = random.choices(("load", "store", "type"), (24, 16, 1))[0]
        offset = random.choice((0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7))
        if kind == "type":
            found.append((kind, 0, random.randbytes(random.choice((1, 1, 2, 18)))))
        else:
            found.append((kind, offset, random.choice(VALUES.get(offset, range(256)))))
    return found


def registers(trial: Trial) -> Verdict:
    """The UART's registers, its line and its interrupt, against the shipped UART's."""
    student, right, is_latch = trial.student, _Line(), False
    operations = _operations(trial.random(), 300)
    for index, (kind, offset, value) in enumerate(operations):
        name = NAMES[kind == "store"][offset]
        if is_latch and offset < 2:
            name = ("DLL", "DLM")[offset]
        got: object
        wanted: object
        if kind == "type":
            call, got, wanted = f"receive({len(value)} bytes)", None, None
            student.call("Uart.receive", value)
            right.console.type(value)
        elif kind == "load":
            call, got, wanted = f"load({name})", student.call("Uart.load", offset), right.device.load(offset, 1)
        else:
            call = f"store({name}, {value:#x})"
            got, wanted = student.call("Uart.store", offset, value), right.store(offset, value)
            is_latch = bool(value & 0x80) if offset == 3 else is_latch
        if got != wanted or type(got) is not type(wanted):
            return _wrong(index, call, name, got, wanted)
        level = student.call("Uart.interrupt")
        if level is not right.level:
            return _wrong(index, f"interrupt() after {call}", "interrupt", level, right.level)
    return passed(calls=len(operations))


def dma(trial: Trial) -> Verdict:
    """read_guest and write_guest, over pages that lie anywhere, and over the end of RAM."""
    random = trial.random()
    ring = Ring(trial.student, random)
    trial.student.call("Virtqueue.use", HostMemory(), RingLayout(8, RINGS.start, RINGS.start + 0x2000, RINGS.start))
    ram = StudentsRam(ring.host, trial.student)
    for gpa in RINGS:
        ring.vm.ram.write(gpa, random.randbytes(4096))
    for index in range(40):
        ring.asked = index
        gpa, length = random.choice(RINGS[:-2]) + random.randrange(4096), random.choice((1, 2, 16, 100, 4096, 5000))
        if random.random() < 0.6:
            ram.read(gpa, length)
        else:
            ram.write(gpa, random.randbytes(length))
    ends = ((RAM_END, 1), (RAM_END - 8, 9), (0x7FFF_FFFF, 2), (0, 4), ((1 << 64) - 8, 16), (RAM_END - 5000, 6000),
            (0x1000_0000, 1), (RAM_END + (1 << 20), 8))
    for index, (gpa, length) in enumerate(random.sample(ends, len(ends)), 40):
        ring.host.allow()
        ring.asked = index
        for call, wanted, arguments in (("read_guest", None, (gpa, length)),
                                        ("write_guest", False, (gpa, bytes(length)))):
            got = trial.student.call(f"Virtqueue.{call}", *arguments)
            if got is not wanted:
                return _wrong(index, f"{call}({gpa:#x}, {length} bytes)", "result", got, wanted)
    return passed(calls=40 + 2 * len(ends))


def honest(trial: Trial) -> Verdict:
    """Rings of honest drivers, new and in use since long; idx goes from 65535 to 0."""
    random, total = trial.random(), 0
    ring = Ring(trial.student, random)
    for size, start in ((1, 0), (4, 0xFFF8), (16, 0xFFFA), (256, random.randrange(1 << 16))):
        ring.set_up(size, start)
        ring.queue.chains = 0
        rings.honest(ring, 16)
        total += ring.queue.chains
    return passed(chains=total)


def malicious(trial: Trial) -> Verdict:
    """Rings that lie, one rule after the other, between honest ones; and one that changes while it is read."""
    random = trial.random()
    ring = Ring(trial.student, random)
    lies = list(rings.LIES) * 2
    random.shuffle(lies)
    for kind in lies:
        ring.set_up(random.choice((4, 8, 16)), random.choice((0, 0xFFFF)))
        ring.queue.chains = 0
        rings.honest(ring, 1)
        rings.lie(ring, kind)
    for _ in range(4):
        ring.set_up(8)
        for count in (1, 3, 2):
            numbers = random.sample(range(8), count)
            ring.chain(ring.buffers(count), numbers)
            ring.offer(numbers[0])
            ring.race()
            ring.pop()
            ring.host.after_read = None
            ring.set_up(8)
    return passed(rings=len(lies) + 12)


def in_guests(make: Callable[[Random], Guest], count: int) -> Callable[[Trial], Verdict]:
    """Some guests of a kind, in lockstep with the bare machine."""

    def run(trial: Trial) -> Verdict:
        total: dict[str, int] = {}
        for number in range(count):
            # Each guest begins with devices after reset, so each gets some of its own.
            with trial.another() as student:
                random = trial.random(str(number))
                counted = Devising(trial, make(random), random, student).run(STEPS)
            total = {name: total.get(name, 0) + value for name, value in counted.items()}
        return passed(counted=total)

    return run


def reads(trial: Trial) -> Verdict:
    """How often the host's memory is read: a slot and some descriptors for each chain, and idx when nothing is left."""
    random = trial.random()
    ring = Ring(trial.student, random)
    ring.set_up(256)
    base, least, chains = ring.queue.descriptors, 0, 0
    for _ in range(10):
        count = random.randrange(3, 7)
        free = random.sample([n for n in range(256) if base + 16 * n & 0xFFF <= 0xFF0], 4 * count)
        for _ in range(count):
            numbers = [free.pop() for _ in range(random.randrange(1, 5))]
            ring.offer(ring.chain(ring.buffers(len(numbers)), numbers))
            least += 1 + len(numbers)
        least += 2
        while (chain := ring.pop()) is not None:
            ring.push(chain, 0)
            chains += 1
    percent = -(-100 * ring.host.reads // least)
    share = share_of_band(percent, ((105, Fraction(1)), (130, Fraction(2, 3)), (220, Fraction(1, 3))))
    message = f"{ring.host.reads} reads for {chains} chains, where {least} do: {percent} %"
    counted = {"reads": ring.host.reads, "bytes": ring.host.bytes_read, "chains": chains}
    if share == 1:
        return passed(message, counted, least=least)
    return failed(message, share=share, counted=counted, least=least)
