"""Lab 1's two predictions."""

from __future__ import annotations

from typing import Final

from ...core.isa.csrs import BY_NAME
from ...core.vmm.exits import ExitReason
from ..judge.guests import Guest
from ..kit.hart import SUPERVISOR
from ..kit.sensitive import TRAPS
from ..lab import random_for
from .experiment import CSR_ROWS, Experiment
from .kernels import ISA

LINES: Final = ("csrr t0, sstatus", "csrw sscratch, t0", "addi t0, t0, 1", "csrsi sie, 2", "mul t1, t0, t0",
                "csrr t2, time", "fence", "sfence.vma", "sd t0, 0(s0)", "csrci sstatus, 2", "fence.i", "csrw sepc, t1",
                "ld t2, 0(s0)", "jal t3, .+4", "csrr t4, satp", "amoadd.d t0, t1, (s0)")
CSRS: Final = ("sstatus", "mstatus", "sepc", "mepc", "stvec", "mtvec", "satp", "time", "cycle", "instret", "misa",
               "mhartid", "scause", "mcause", "sie", "mie", "pmpcfg0", "sscratch", "mcycle", "senvcfg", "menvcfg")


def _body(seed: int) -> tuple[int, list[str]]:
    random = random_for(1, "body", seed)
    return random.randrange(10, 40), random.sample(LINES, 9)


def ask_traps(seed: int) -> str:
    """How often a loop traps."""
    rounds, body = _body(seed)
    listing = "\n".join(f"  {line}" for line in body)
    return (f"A deprivileged guest kernel, satp=Bare, executes these {rounds} times, in S-mode as it believes, s0 at\n"
            f"its RAM. How many of the executions trap because of what the instruction is?\n\n{listing}")


def traps(seed: int) -> int:
    """By running it: the exits that are about an instruction."""
    rounds, body = _body(seed)
    lines = "\n".join(f" {line}" for line in body)
    guest = Guest.of(f"_start: la s0, data\n li s1, {rounds}\nagain:\n{lines}\n addi s1, s1, -1\n bnez s1, again\n"
                     " li a7, 8\n ecall\n .align 3\ndata: .dword 0\n", "loop.s")
    vm = guest.start(guest.config("deprivileged", isa=ISA))
    vm.run(100_000)
    return sum(vm.exits[reason] for reason in (ExitReason.CSR, ExitReason.SATP, ExitReason.SFENCE))


def _numbers(seed: int) -> list[int]:
    random = random_for(1, "numbers", seed)
    return [BY_NAME[name].number for name in random.sample(CSRS, 12)]


def ask_numbers(seed: int) -> str:
    """How many CSRs are closed."""
    return ("A hart has the CSRs with these numbers. How many of them does a csrr in S-mode not read, but trap?\n"
            + ", ".join(f"{each:#05x}" for each in _numbers(seed)))


def numbers(seed: int) -> int:
    """By trying each."""
    experiment = Experiment()
    row = next(each for each in CSR_ROWS if each.name == "csrrs")
    return sum(experiment.classify(row, each, False, SUPERVISOR) == TRAPS for each in _numbers(seed))
