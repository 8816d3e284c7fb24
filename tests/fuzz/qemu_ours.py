"""Runs one program on our machine: its log, and how many instructions of its own it had retired at each log entry."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hartvisor.core.hart import EXIT_MMIO
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.machine import Machine, StopReason

from .qemu_harness import harness
from .qemu_layout import (
    COUNT,
    HARNESS,
    LOG_SIZE,
    LOGS,
    PROGRAMS,
    PROGRESS,
    RAM,
    RAM_SIZE,
    VARIABLES,
    Program,
    pack,
)

LIMIT = 1_200_000
"""Steps after which a program is dropped as endless; most end after some thousands, and the harness takes about
150,000."""

M_MODE = 3
_HARNESS = harness()
_RETURNS = tuple(_HARNESS.symbols[f"return_by_{how}"] for how in ("mret", "sret", "jump"))
HANDLER = _HARNESS.symbols["handler"]
_LOCKED = (
    ("pmpcfg0", 0x8080_8080),
    ("pmpcfg2", 0x8080_0080_0000_0000),
    *((f"pmpcfg{i}", 0x8080_8080_8080_8080) for i in range(4, 16, 2)),
)
"""Locks of PMP entries that no program may set; the harness itself locks entries 4 to 13, but for the test finisher's,
12."""


@dataclass(frozen=True)
class Log:
    """What a program left: `data`, as the harness wrote it, and `retired`: for each entry, the program's own
    instructions until then, by our hart's clock."""

    data: bytes
    retired: tuple[int, ...]


def place(programs: Sequence[Program]) -> bytes:
    """The RAM from RAM on, as far as it is not zero, for a batch of programs."""
    table = bytearray(8 * len(programs))
    at = PROGRAMS + len(table) + -len(table) % 64
    blob = bytearray(at - PROGRAMS)
    for index, program in enumerate(programs):
        struct.pack_into("<Q", blob, 8 * index, PROGRAMS + len(blob))
        blob += pack(program)
    if PROGRAMS + len(blob) > LOGS:
        raise ValueError(f"{len(programs)} programs do not fit")
    image = bytearray(PROGRAMS - RAM) + blob
    image[HARNESS - RAM : HARNESS - RAM + len(_HARNESS.code)] = _HARNESS.code
    struct.pack_into("<Q", image, VARIABLES - RAM + 8 * COUNT, len(programs))
    return bytes(image)


class Run:
    """A program on our machine, stretch by stretch: `enter` goes to its next instruction of its own, `leave` to its
    next trap to M-mode."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.machine = Machine(RAM_SIZE)
        self.memory, self.hart = self.machine.memory, self.machine.harts[0]
        self._image = place([program])
        self.memory.write(RAM, self._image)
        self.hart.pc, self.hart.privilege = HARNESS, M_MODE
        self.hart.breakpoints = frozenset((*_RETURNS, HANDLER))
        self.traps = 0
        """To M-mode, that `finish` has come to."""

    def enter(self) -> bool:
        """Run the harness until the program has its turn; False when there is none to come."""
        if self.has_left:
            self.machine.run(1)  # past the breakpoint here, reported already or not
        return self._run_to(_RETURNS) and self.machine.run(1).reason is StopReason.BUDGET

    def leave(self) -> bool:
        """Run the program until it has trapped to M-mode; False if it does not."""
        return self._run_to((HANDLER,))

    def step(self) -> None:
        """One step of the program, or of a trap handler of its own; a device's answer is part of it."""
        exit_, bus = self.hart.run(1), self.machine.board.bus
        if exit_.reason != EXIT_MMIO:
            return
        value = 0
        if exit_.is_store:
            is_answered = bus.store(exit_.address, exit_.size, exit_.value)
        else:
            found = bus.load(exit_.address, exit_.size)
            is_answered, value = found is not None, found or 0
        if is_answered:
            self.hart.complete_mmio(value)
        else:
            self.hart.fault_mmio()
            self.hart.run(1)  # the step that the trap is

    @property
    def has_left(self) -> bool:
        """Whether the hart stands at the harness's trap handler."""
        return self.hart.pc == HANDLER and self.hart.privilege == M_MODE

    @property
    def instret(self) -> int:
        """Instructions retired, the harness's too."""
        return self.hart.steps - self.hart.idle_steps - self.hart.guest_traps

    def _run_to(self, places: Sequence[int]) -> bool:
        """Run to one of the places. False if the hart comes to another first (the harness itself trapped, or the
        program ran into it), or to none."""
        if self.hart.steps >= LIMIT or self.machine.run(LIMIT - self.hart.steps).reason is not StopReason.BREAKPOINT:
            return False
        return self.hart.pc in places and self.hart.privilege == M_MODE

    def finish(self) -> Log | None:
        """Run to the end. Returns the log; None if the program does not end, or overwrote the harness."""
        retired, total = [], 0
        while self.enter():
            entered = self.instret
            if not self.leave():
                break
            total += self.instret - entered
            retired.append(total)
            self.traps += 1
        if self.machine.finish is None:
            return None
        memory = self.memory
        data = memory.read(LOGS, LOG_SIZE)
        is_sound = (
            memory.load(VARIABLES + 8 * PROGRESS, 8) == 1
            and struct.unpack_from("<Q", data)[0] == self.program.max_traps == len(retired)
            and memory.read(HARNESS, len(_HARNESS.code)) == _HARNESS.code
            and memory.read(PROGRAMS, len(self._image) - (PROGRAMS - RAM)) == self._image[PROGRAMS - RAM :]
            and not any(self.hart.read_csr(BY_NAME[name].number) & locks for name, locks in _LOCKED)
        )
        return Log(data, tuple(retired)) if is_sound else None


def run_ours(program: Program) -> Log | None:
    """Run one program on our machine. Returns its log; None if it does not end, or in M-mode overwrites the harness."""
    return Run(program).finish()
