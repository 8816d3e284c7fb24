"""Lab 10's guests: programs that look for input in every way there is, and what comes to them, and when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from ..judge import writing
from ..judge.guests import Guest

HOSTED: Final = ("deprivileged", "shadow", "two-stage")

# The PLIC's context 1 (S-mode) lets the UART's interrupt, source 10, wake the hart; sstatus.SIE stays 0, so that
# nothing traps. s1 is a hash of all that was read, s0 the table that it is spread over.
BEGIN: Final = """
_start:
    la s0, table
    li s1, {seed:#x}
    li s2, 0x10000000      # the UART
    li t0, 1
    sb t0, 1(s2)           # IER: received data available
    li t1, 0x0c000000
    sw t0, 40(t1)          # source 10's priority
    li t2, 0x0c002080
    li t3, 0x400
    sw t3, 0(t2)           # enabled for context 1
    li s3, 0x0c201004      # its claim register
    li t0, 0x220
    csrw sie, t0           # SEIE and STIE
    j main

mix:
    slli t4, s1, 5
    sub s1, t4, s1
    add s1, s1, a0
    andi t4, s1, 0x7f8
    add t4, t4, s0
    sd s1, 0(t4)
    ret

main:
"""
END: Final = writing.SHUTDOWN + """
    .align 3
table:
    .dword 0
"""


@dataclass(frozen=True)
class Case:
    """A guest, and what its host does. typed: not before this step, these bytes. pipe: what it answers when the guest
    looks for input, in turn, and then that there is no more; None: nobody answers. recorded, replayed: the techniques.
    """

    guest: Guest
    typed: tuple[tuple[int, bytes], ...]
    pipe: tuple[bytes, ...] | None
    recorded: str
    replayed: str


class Writer(writing.Writer):
    """wanted: how many bytes the program waits for. asked: how often it asks for one, and takes what was typed where
    something was."""

    BEGIN = BEGIN
    END = END

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.wanted = self.asked = 0

    def poll(self) -> None:
        """Wait for a byte by looking at LSR over and over."""
        again = self.label("poll")
        self.emit(f"{again}:", "lbu t0, 5(s2)", "andi t0, t0, 1", "addi s4, s4, 1", f"beqz t0, {again}",
                  "lbu a0, 0(s2)", "call mix")
        self.wanted += 1

    def sleep(self) -> None:
        """Wait for a byte asleep."""
        again, here = self.label("sleep"), self.label("here")
        self.emit(f"{again}:", "lbu t0, 5(s2)", "andi t0, t0, 1", f"bnez t0, {here}", "wfi", f"j {again}", f"{here}:",
                  "lbu a0, 0(s2)", "call mix", "lw t0, 0(s3)", "sw t0, 0(s3)")
        self.wanted += 1

    def ask(self) -> None:
        """Ask the firmware for a byte; -1 is mixed in like any."""
        self.emit("li a7, 2", "ecall", "call mix")
        self.asked += 1

    def nap(self) -> None:
        """Sleep for some ticks."""
        again = self.label("nap")
        self.emit("csrr a0, time", f"addi a0, a0, {self.random.randrange(2, 9)}", "li a7, 0", "ecall", f"{again}:",
                  "wfi", "csrr t0, sip", "andi t0, t0, 0x20", f"beqz t0, {again}", "li a0, -1", "li a7, 0", "ecall")

    def clock(self) -> None:
        """The time, which nobody need note down."""
        self.emit("csrr a0, time", "call mix")

    def say(self) -> None:
        """A byte to the console."""
        self.emit("andi a0, s1, 0x7f", "li a7, 1", "ecall")

    def work(self) -> None:
        """Steps that concern nobody."""
        again = self.label("work")
        self.emit(f"li t0, {self.random.randrange(5, 40)}", f"{again}:", "addi t0, t0, -1", f"bnez t0, {again}")

    def begin_text(self) -> str:
        """With a seed for its hash."""
        return self.BEGIN.format(seed=self.random.getrandbits(31))

    def typing(self, gap: int) -> tuple[tuple[int, bytes], ...]:
        """All the bytes that are wanted, in pieces, now and then two pieces at one step."""
        random, found, left = self.random, [], self.wanted
        step = random.randrange(2)
        while left:
            size = min(left, random.choice((1, 1, 1, 2, 3)))
            found.append((step, bytes(random.randrange(1, 256) for _ in range(size))))
            left -= size
            step += 0 if random.random() < 0.3 else random.randrange(1, gap)
        return tuple(found)

    def piping(self) -> tuple[bytes, ...]:
        """Answers, whose end the guest finds."""
        random = self.random
        return tuple(bytes(random.randrange(256) for _ in range(random.randrange(1, 4))) for _ in range(4))

    def case(self, name: str, has_pipe: bool, gap: int = 120) -> Case:
        """The program, and all that comes to it."""
        recorded, replayed = self.random.sample(HOSTED, 2)
        return Case(self.guest(name), self.typing(gap), self.piping() if has_pipe else None, recorded, replayed)


def _written(random: Random, blocks: tuple[str, ...], weights: tuple[int, ...], length: int, first: str) -> Writer:
    writer = Writer(random)
    for name in (first, *random.choices(blocks, weights, k=length)):
        getattr(writer, name)()
    return writer


def typed(random: Random) -> Case:
    """A guest that polls while somebody types."""
    return _written(random, ("poll", "clock", "say", "work"), (5, 2, 1, 3), 22, "poll").case("typed", False)


def asking(random: Random) -> Case:
    """A guest that asks, beyond the end of what there is."""
    writer = _written(random, ("ask", "clock", "say", "work", "nap"), (6, 2, 1, 2, 1), 26, "ask")
    for _ in range(14):
        writer.ask()
    return writer.case("asking", True)


def asleep(random: Random) -> Case:
    """A guest that sleeps until somebody types, or its timer rings."""
    return _written(random, ("sleep", "nap", "clock", "work"), (6, 3, 1, 1), 20, "sleep").case("asleep", False)


def everything(random: Random, length: int = 26) -> Case:
    """All of it. What is typed is read before what the pipe has, by whoever looks."""
    writer = _written(random, ("poll", "sleep", "ask", "nap", "clock", "say", "work"), (3, 3, 4, 1, 2, 1, 3), length,
                      "work")
    writer.wanted += writer.asked
    return writer.case("everything", True, 300)


def long(random: Random) -> Case:
    """Some thousand steps, with little to note down."""
    writer = Writer(random)
    for _ in range(14):
        writer.poll()
        writer.work()
        writer.clock()
    return writer.case("long", False, 700)
