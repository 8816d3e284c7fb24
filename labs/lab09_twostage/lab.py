"""Lab 9, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge import paging_guests
from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions

QUESTIONS: Final = (
    Question("entries_read", questions.ask_reads, questions.reads),
    Question("gstage_faults", questions.ask_exits, questions.exits))
BROKEN: Final = ("not-for-users", "small-root", "one-stage-tables", "guests-mxr", "page-faults", "hides-tables",
                 "no-sign")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=9, name="twostage", title="The hypervisor extension",
    concept="two stages of translation in hardware, and what is left for a hypervisor to do",
    folder=Path(__file__).parent, kit=("paging", "two_stage", "remote"),
    versions="hartvisor.labs.lab09_twostage.versions", questions=QUESTIONS,
    tasks=(Task("translate", "What the hart does"), Task("eyes", "With the guest's eyes"),
           Task("stage", "The second stage"), Task("switch", "Two worlds, one hart"), Task("fewer", "Fewer exits"),
           Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("translate", "translate", "both stages, and what can be wrong with either", 14, checks.translating,
              cpu=0.06),
        Check("hlv", "eyes", "hlv and hlvx: what the hart would load, or raise", 8, checks.loading, cpu=0.05),
        Check("hsv", "eyes", "hsv: what the hart would store, or raise", 4, checks.storing, cpu=0.04),
        Check("mapping", "stage", "guests on your second stage: as on the bare hart", 10,
              checks.in_guests(paging_guests.spaces), cpu=0.05),
        Check("moving", "stage", "frames are taken away: no table and no TLB leads there", 12,
              checks.in_guests(paging_guests.mapping, moves=True), cpu=0.05),
        Check("honest-faults", "stage", "devices and the guest's own faults stay what they are", 8,
              checks.in_guests(paging_guests.honest_faults), "negative", cpu=0.05),
        Check("switch", "switch", "two guests on one hart, each as alone", 12, checks.switching(False), cpu=0.12),
        Check("same-vmid", "switch", "the same, where the hart cannot tell the two apart", 6, checks.switching(True),
              cpu=0.12),
        Check("cost", "fewer", "faults and fences of lab 4's guest against the pages that it touches", 6, checks.cost,
              "band", cpu=0.04),
        mutation("tests", 12, BROKEN, cpu=0.06),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
