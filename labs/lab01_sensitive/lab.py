"""Lab 1, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions

QUESTIONS: Final = (
    Question("traps_in_loop", questions.ask_traps, questions.traps),
    Question("closed_csrs", questions.ask_numbers, questions.numbers))
BROKEN: Final = ("reads-are-innocuous", "waits-innocently", "x0-writes", "counters-are-everybodys", "machines-csrs",
                 "fences-are-free", "calls-are-control")
"""Of versions.py, which is imported where it runs."""
ONE_EACH: Final = (("popf",), ("pushf",), ("whoami",), ("jrst",), ("sscr",), ("popf", "sscr"), ())

LAB: Final = Lab(
    number=1, name="sensitive", title="Popek and Goldberg",
    concept="sensitive and privileged instructions: what a hypervisor needs from a machine",
    folder=Path(__file__).parent, kit=("hart", "sensitive", "remote"),
    versions="hartvisor.labs.lab01_sensitive.versions", questions=QUESTIONS,
    tasks=(Task("classify", "What is it?"), Task("search", "The hole"), Task("patch", "A machine that has it not"),
           Task("fewer", "Fewer patches"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("classify-plain", "classify", "every instruction that is about no CSR, in both modes", 14, checks.plain,
              cpu=0.06),
        Check("classify-csr", "classify", "the six CSR instructions on all CSRs, in both modes", 16, checks.csrs,
              cpu=0.05),
        Check("find-silent", "search", "machines with one silent sensitive instruction, with two, with none", 18,
              checks.searching(ONE_EACH), "negative", cpu=0.15),
        Check("honest-machines", "search", "a machine like ours, and instructions that only look like holes", 6,
              checks.searching(((), (), ())), cpu=0.08),
        Check("deprivilege", "patch", "kernels on a machine with holes run as on the bare one", 18,
              checks.deprivileging, cpu=0.03),
        Check("patches", "fewer", "patched instructions executed, against those that must be", 8, checks.patches,
              "band"),
        mutation("tests", 12, BROKEN, cpu=0.1),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
