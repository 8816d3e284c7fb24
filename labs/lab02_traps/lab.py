"""Lab 2, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, programs, questions

QUESTIONS: Final = (
    Question("csr_exits", questions.ask_exits, questions.exits),
    Question("sstatus_reads", questions.ask_status, questions.status))
BROKEN: Final = ("forgets-spp", "always-enables", "any-satp", "writes-for-x0", "open-to-user", "clears-without-not")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=2, name="traps", title="Trap and CSR emulation",
    concept="trap and emulate: a kernel in U-mode that believes it is in S-mode",
    folder=Path(__file__).parent, kit=("hart", "remote"), versions="hartvisor.labs.lab02_traps.versions",
    questions=QUESTIONS,
    tasks=(Task("csrs", "CSRs that are values"), Task("sret", "The way down"), Task("emulate", "A kernel in U-mode"),
           Task("fewer", "Fewer exits"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("csr-read", "csrs", "every CSR of the guest's reads as it should", 8, checks.reading, cpu=0.02),
        Check("csr-write", "csrs", "a write changes the writable bits, and no others", 10,
              checks.writing(("sscratch", "sepc", "scause", "stval", "stvec", "scounteren", "sie", "sip")), cpu=0.02),
        Check("csr-write-warl", "csrs", "satp, senvcfg and sstatus: what a write may leave behind", 8,
              checks.writing(("satp", "senvcfg", "sstatus"), 24), cpu=0.02),
        Check("csr-privilege", "csrs", "what U-mode, or nobody, may do is refused", 8, checks.privilege, cpu=0.02),
        Check("sret", "sret", "sret from every SPP, SPIE, SIE and mode", 10, checks.returning),
        Check("supervisor-guests", "emulate", "S-mode programs run as on the bare hart", 12,
              checks.in_guests(programs.supervisor), cpu=0.1),
        Check("whole-guests", "emulate", "both modes, interrupts, returns: as on the bare hart", 12,
              checks.in_guests(programs.everything), cpu=0.22),
        Check("illegal-is-reflected", "emulate", "what is illegal is the guest's to hear of", 6,
              checks.in_guests(programs.illegal, 2), "negative", cpu=0.11),
        Check("exits", "fewer", "a kernel's way in and out: exits against one for each instruction", 6, checks.exits,
              "band", cpu=0.05),
        mutation("tests", 12, BROKEN, cpu=0.06),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
