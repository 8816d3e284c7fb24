"""Lab 3, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, programs, questions

QUESTIONS: Final = (
    Question("order", questions.ask_order, questions.order),
    Question("timer_interrupts", questions.ask_ticks, questions.ticks))
BROKEN: Final = ("timer-first", "ignores-enables", "keeps-sie", "vectors-exceptions", "keeps-stip", "tick-late",
                 "sleeps-through")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=3, name="interrupts", title="Exceptions, interrupts, time",
    concept="virtual interrupts: which one, when, and who hears of it",
    folder=Path(__file__).parent, kit=("hart", "interrupts", "remote"),
    versions="hartvisor.labs.lab03_interrupts.versions", questions=QUESTIONS,
    tasks=(Task("pick", "Which one?"), Task("inject", "Into the guest"), Task("time", "A timer that is nobody's"),
           Task("sleep", "Waiting"), Task("fewer", "Fewer alarms"), Task("tests", "Tests that find bugs"),
           Task("predict", "Foresee")),
    checks=(
        Check("pick-pending", "pick", "every interrupt and pair of them, under every delegation", 12, checks.picking,
              cpu=0.12),
        Check("inject", "inject", "every trap, from both modes and every stack of sstatus", 10, checks.injecting,
              cpu=0.05),
        Check("exceptions", "inject", "guests that go wrong in every way hear of it as on the bare hart", 10,
              checks.in_guests(programs.exceptions), cpu=0.05),
        Check("interrupts", "pick", "several interrupts at once: as on the bare hart", 10,
              checks.in_guests(programs.interrupts), cpu=0.08),
        Check("masked", "pick", "what the guest has masked waits, and nothing else does", 6,
              checks.in_guests(programs.masked, 2), "negative", cpu=0.05),
        Check("set-timer", "time", "set_timer and on_clock, whenever they are called", 8, checks.timing),
        Check("ticks", "time", "no tick lost or doubled: as on the bare hart, to the step", 8,
              checks.in_guests(programs.ticks), cpu=0.05),
        Check("wfi", "sleep", "how long wfi sleeps, from every state", 4, checks.waiting, cpu=0.05),
        Check("sleep", "sleep", "guests that wait wake when the bare hart does", 6, checks.in_guests(programs.sleep),
              cpu=0.05),
        Check("alarms", "fewer", "alarms of the hypervisor's timer against ticks that were due", 6, checks.wakes,
              "band"),
        mutation("tests", 12, BROKEN, cpu=0.07),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
