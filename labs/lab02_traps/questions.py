"""Lab 2's two predictions."""

from __future__ import annotations

from ...core.vmm.exits import ExitReason
from ..judge.guests import Guest
from ..lab import random_for
from .emulator import ISA


def _loop(seed: int) -> tuple[int, str]:
    random = random_for(2, "loop", seed)
    rounds = random.randrange(20, 90)
    body = random.sample(["csrr t1, sstatus", "csrw sscratch, t1", "csrsi sscratch, 4", "csrrw t2, scause, t1",
                          "csrci sepc, 2"], random.randrange(2, 5))
    return rounds, "\n".join([f"    li t0, {rounds}", "again:", *(f"    {line}" for line in body), "    addi t1, t1, 1",
                              "    addi t0, t0, -1", "    bnez t0, again"])


def ask_exits(seed: int) -> str:
    """Exits of a loop."""
    return ("A deprivileged guest kernel executes this. How many of its exits are counted as csr?\n\n"
            + _loop(seed)[1].replace("    ", "  "))


def exits(seed: int) -> int:
    """By running it."""
    guest = Guest.of(_loop(seed)[1] + "\n    li a7, 8\n    ecall\n")
    vm = guest.start(guest.config("deprivileged", isa=ISA))
    vm.run(100_000)
    return vm.exits[ExitReason.CSR]


def _value(seed: int) -> int:
    return random_for(2, "status", seed).getrandbits(64) & ~2


def ask_status(seed: int) -> str:
    """What sstatus makes of a write."""
    return ("After reset a guest with floating point, but without vectors, executes csrw sstatus, with "
            f"{_value(seed):#x}.\n"
            "What does csrr sstatus then read (0x...)?")


def status(seed: int) -> int:
    """By running it."""
    guest = Guest.of(f"li t0, {_value(seed):#x}\n csrw sstatus, t0\n csrr a0, sstatus\nend: j end\n")
    vm = guest.start(guest.config("bare", isa=ISA))
    vm.run(len(guest.program.code) // 4)
    return vm.hart.read_gpr(10)
