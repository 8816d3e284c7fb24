"""Lab 8, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, programs, questions

QUESTIONS: Final = (
    Question("four_rounds", questions.ask_rounds, questions.rounds),
    Question("busy_pages", questions.ask_pages, questions.pages))
BROKEN: Final = ("takes-late", "forgets-lost", "never-ends", "stops-at-once", "skips-in-pause", "old-state")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=8, name="migration", title="Live migration",
    concept="pre-copy: a guest moves while it runs, and stands still for its working set",
    folder=Path(__file__).parent, kit=("migration", "remote"), versions="hartvisor.labs.lab08_migration.versions",
    questions=QUESTIONS,
    tasks=(Task("copy", "All of it arrives"), Task("stop", "When to stop"), Task("less", "Less of everything"),
           Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("same-digest", "copy", "the guest is the same at the target, and goes on the same", 12,
              checks.same(programs.mixed)),
        Check("lossy-link", "copy", "the same, over a link that loses a fifth of what it carries", 10,
              checks.same(programs.lossy)),
        Check("slow-link", "copy", "the same, over a link that a page takes ten times as long on", 10,
              checks.same(programs.slow, 1)),
        Check("nothing-twice", "stop", "a guest that stores nothing: each page once, none in the pause", 8,
              checks.nothing_twice),
        Check("converges", "stop", "the pause is for the working set, not for the guest", 12, checks.converges,
              "negative"),
        Check("never-converges", "stop", "a working set that outruns the link is seen to", 12, checks.never_converges),
        Check("downtime", "less", "pages in the pause, against the working set", 8, checks.downtime, "band"),
        Check("pages", "less", "pages in all, against each once", 8, checks.pages, "band"),
        mutation("tests", 12, BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
