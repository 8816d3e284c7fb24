"""A right recorder and player around a bare hart, and broken ones: what students' tests are to tell apart.

The guest is a program on the hypervisor's own hart, in M-mode, whose calls end in the host. One byte can be typed into
its mailbox at a time; a later one covers it. Every so often it asks: the answer is a byte, or that there is none now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from ...core.hart import EXIT_BUDGET, HOST_M, Hart, Memory
from ...core.isa.assembler import assemble
from ...core.machine.memory_map import RAM_BASE
from ..kit.replay import ASKED, TYPED, GuestEvent
from ..lab import RIGHT

STRIDE: Final = 64
"""Steps between checkpoints."""
PROGRAM: Final = assemble("""
    la s0, mailbox
loop:
    lbu t0, 0(s0)
    beqz t0, quiet
    sb zero, 0(s0)
    slli s1, s1, 5
    add s1, s1, t0
quiet:
    addi s2, s2, 1
    andi t1, s2, 7
    bnez t1, loop
    ecall
    slli t2, s3, 4
    add s3, s3, t2
    add s3, s3, a0
    j loop
mailbox:
    .word 0
""", RAM_BASE)
_A0: Final = 10
_MACHINE: Final = 3
_ENTRY: Final = 1 + 2 + 1
"""Bytes of an entry: kind, steps since the last that was typed, a byte (256: none)."""

State = tuple[dict[str, object], bytes, int, int]
"""The hart's, the page, how much was typed, how many answers were taken."""


class Right:
    """What tests call: record, log_event, replay, reverse_step."""

    def __init__(self) -> None:
        self._memory = Memory(1 << 12, base=RAM_BASE)
        self._hart = Hart(self._memory, hosts=HOST_M)
        self._hart.privilege = _MACHINE
        self._hart.pc = RAM_BASE
        self._memory.write(RAM_BASE, PROGRAM.code)
        self._typed: list[tuple[int, int]] = []
        self._answers: list[bytes] = []
        self._given = self._taken = self._last = 0
        self._kept: dict[int, State] = {}
        self._first = self._save()

    def record(self, typed: list[tuple[int, int]], answers: list[int | None], steps: int) -> tuple[bytes, list[str]]:
        """Run the guest: the log, and the digest after 0, 1, ... steps. typed: a byte at a step, ascending. answers: to
        what it asks, None where there is none now; then none any more."""
        self._restart(list(typed), [bytes([each]) if each is not None else b"" for each in answers])
        log, digests = b"", []
        for step in range(steps + 1):
            taken = self._taken
            if step:
                self._run(1)
            for data in self._answers[taken:self._taken]:
                log += self.log_event(GuestEvent(step - 1, ASKED, data))
            for _, byte in self._due(step):
                log += self.log_event(GuestEvent(step, TYPED, bytes([byte])))
            self._settle(step)
            digests.append(self.digest())
        return log, digests

    def log_event(self, event: GuestEvent) -> bytes:
        """What the log keeps of it."""
        if event.kind not in (TYPED, ASKED):
            return b""
        gap = event.step - self._last if event.kind == TYPED else 0
        if event.kind == TYPED:
            self._last = event.step
        return bytes((event.kind == TYPED, *self.packed(gap), *(event.data or b"\0")))

    def packed(self, gap: int) -> bytes:
        """Steps, in two bytes."""
        return gap.to_bytes(2, "little")

    def replay(self, log: bytes, step: int) -> str:
        """Run the guest anew, from the log alone, to `step`: the digest."""
        typed, answers, now = [], [], 0
        for at in range(0, len(log), _ENTRY):
            now += int.from_bytes(log[at + 1:at + 3], "little")
            if log[at]:
                typed.append((now, log[at + 3]))
            else:
                answers.append(log[at + 3:at + 4].strip(b"\0"))
        self._restart(typed, answers)
        self._settle(0)
        self._go(step)
        return self.digest()

    def reverse_step(self) -> str:
        """Back by one, from where it stands: the digest."""
        target = max(0, self._hart.steps - 1)
        self._return(max(step for step in self._kept if step <= target))
        self._go(target)
        return self.digest()

    # --- the guest

    def _restart(self, typed: list[tuple[int, int]], answers: list[bytes]) -> None:
        self._load(self._first)
        self._kept = {}
        self._typed, self._answers = typed, answers
        self._last = 0

    def _go(self, step: int) -> None:
        while self._hart.steps < step:
            self._keep()
            self._run(1)
            self._settle(self._hart.steps)

    def _run(self, steps: int) -> None:
        end = self._hart.steps + steps
        while self._hart.steps < end:
            if self._hart.run(end - self._hart.steps).reason != EXIT_BUDGET:
                answer = self._answers[self._taken] if self._taken < len(self._answers) else b""
                self._taken += 1
                self._hart.write_gpr(_A0, answer[0] if answer else -1)
                self._hart.retire()

    def _due(self, step: int) -> list[tuple[int, int]]:
        return [each for each in self._typed[self._given:] if each[0] == step]

    def _settle(self, step: int) -> None:
        due = self._due(step)
        for _, byte in self.in_order(due):
            self._memory.store(PROGRAM.symbols["mailbox"], 1, byte)
        self._given += len(due)

    def in_order(self, due: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What was typed at one step, as it came."""
        return due

    def _keep(self) -> None:
        if self._hart.steps % STRIDE == 0:
            self._kept.setdefault(self._hart.steps, self._save())

    def _return(self, step: int) -> None:
        self._load(self._kept[step])

    def _save(self) -> State:
        return dict(self._hart.save()), self._memory.read(RAM_BASE, 1 << 12), self._given, self._taken

    def _load(self, state: State) -> None:
        hart, page, self._given, self._taken = state
        self._hart.restore(hart)  # type: ignore[arg-type]  # what save gave
        self._memory.write(RAM_BASE, page)

    def digest(self) -> str:
        """Of registers, clock and memory."""
        text = f"{self._hart.pc} {self._hart.steps} {self._hart.read_gprs()}".encode()
        return hashlib.blake2b(text + self._memory.read(RAM_BASE, 1 << 12), digest_size=8).hexdigest()


class Late(Right):
    """On replay, what was typed arrives a step late."""

    def replay(self, log: bytes, step: int) -> str:
        """The first gap is one longer."""
        for at in range(0, len(log), _ENTRY):
            if log[at]:
                gap = int.from_bytes(log[at + 1:at + 3], "little") + 1
                return super().replay(log[:at + 1] + gap.to_bytes(2, "little") + log[at + 3:], step)
        return super().replay(log, step)


class Swapped(Right):
    """Of two that came at one step, the last is given first on replay."""

    def replay(self, log: bytes, step: int) -> str:
        """Whether it is a replay is what matters."""
        self._is_replay = True
        return super().replay(log, step)

    def record(self, typed: list[tuple[int, int]], answers: list[int | None], steps: int) -> tuple[bytes, list[str]]:
        """As it is."""
        self._is_replay = False
        return super().record(typed, answers, steps)

    def in_order(self, due: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The other way round."""
        return due[::-1] if self._is_replay else due


class Wraps(Right):
    """Steps between two inputs have eight bits in the log."""

    def packed(self, gap: int) -> bytes:
        """Cut."""
        return super().packed(gap & 0xFF)


class ForgetsNothing(Right):
    """That there was no answer is not logged."""

    def log_event(self, event: GuestEvent) -> bytes:
        """Nothing for nothing."""
        return super().log_event(event) if event.data else b""


class LogsTime(Right):
    """What the guest reads of its clock is in the log."""

    def log_event(self, event: GuestEvent) -> bytes:
        """Whatever has data, as an answer."""
        if event.kind not in (TYPED, ASKED) and event.data:
            return bytes((0, 0, 0, event.data[0]))
        return super().log_event(event)


class LosesAtCheckpoint(Right):
    """A checkpoint is taken before what comes at its step is given, and counts it as given."""

    def _return(self, step: int) -> None:
        super()._return(step)
        if any(when == step for when, _ in self._typed):
            self._memory.store(PROGRAM.symbols["mailbox"], 1, 0)


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "late": Late, "swapped": Swapped, "wraps": Wraps, "forgets-nothing": ForgetsNothing,
    "logs-time": LogsTime, "loses-at-checkpoint": LosesAtCheckpoint}
