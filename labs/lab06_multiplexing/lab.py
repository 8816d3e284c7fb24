"""Lab 6, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions

QUESTIONS: Final = (
    Question("quanta", questions.ask_quanta, questions.quanta),
    Question("shared_frames", questions.ask_frames, questions.frames))
BROKEN: Final = ("all-alike", "counts-turns", "saves-up", "forgets-debts", "strict", "no-reservation",
                 "takes-from-the-largest")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=6, name="multiplexing", title="Multiplexing", concept="proportional share of time, and memory to reclaim",
    folder=Path(__file__).parent, kit=("multiplex", "remote"),
    versions="hartvisor.labs.lab06_multiplexing.versions", questions=QUESTIONS,
    tasks=(Task("time", "Shares of time"), Task("wait", "Short waits"), Task("balloon", "Balloons"),
           Task("share", "Equal pages"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("shares", "time", "each has its part, whatever it uses of its quanta: Jain's index of 0.95", 10,
              checks.shares, cpu=0.04),
        Check("sleepers", "time", "sleep is worth nothing, and costs nothing", 10, checks.sleepers, cpu=0.06),
        Check("starvation", "time", "however few its shares, each has its turn", 8, checks.starvation, "negative",
              cpu=0.04),
        Check("machine", "time", "four VMs of the real hypervisor: Jain's index of 0.95", 10, checks.machine, cpu=0.05),
        Check("latency", "wait", "instructions of others until a VM that woke has the machine", 8, checks.latency,
              "band", cpu=0.06),
        Check("balloons", "balloon", "balloon_target: who gives, how many, and who gets back", 10, checks.balloons,
              cpu=0.04),
        Check("overcommit", "balloon", "VMs that use more than there is: no page is swapped out", 8,
              checks.overcommit, cpu=0.04),
        Check("sharing", "share", "equal pages use one frame, others never, and no guest can tell", 12,
              checks.sharing),
        Check("comparisons", "share", "pages compared, against one for each kind that a page may be of", 4,
              checks.comparing, "band"),
        mutation("tests", 12, BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
