"""Lab 10, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, programs, questions

QUESTIONS: Final = (
    Question("logged_events", questions.ask_events, questions.events),
    Question("steps_back", questions.ask_steps, questions.steps))
BROKEN: Final = ("late", "swapped", "wraps", "forgets-nothing", "logs-time", "loses-at-checkpoint")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=10, name="replay", title="Record and replay",
    concept="nondeterminism: what a run depends on, beside where it began",
    folder=Path(__file__).parent, kit=("replay", "remote"), versions="hartvisor.labs.lab10_replay.versions",
    questions=QUESTIONS,
    tasks=(Task("record", "What the log needs"), Task("replay", "The same run again"), Task("reverse", "Backwards"),
           Task("less", "Less of everything"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("needless", "record", "the log holds what comes from outside, and nothing else", 10, checks.needless,
              "negative"),
        Check("typed", "replay", "input between two steps: the same digest after every step", 10,
              checks.replaying(programs.typed)),
        Check("asked", "replay", "input that the guest asks for, and its end", 10, checks.replaying(programs.asking)),
        Check("asleep", "replay", "sleepers that a timer or a key wakes", 10, checks.replaying(programs.asleep)),
        Check("anywhere", "replay", "to any step from any other, all kinds of input", 12,
              checks.replaying(programs.everything, checks.anywhere)),
        Check("reverse-step", "reverse", "back by one, over input, and from the first step", 12, checks.reversing,
              cpu=0.06),
        Check("log-size", "less", "bytes of log, against the hypervisor's own file", 8, checks.log_size, "band"),
        Check("reverse-cost", "less", "steps to go back one, against beginning anew", 8, checks.reverse_cost, "band"),
        mutation("tests", 12, BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
