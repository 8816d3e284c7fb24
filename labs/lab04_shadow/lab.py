"""Lab 4, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge import paging_guests as programs
from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions

QUESTIONS: Final = (
    Question("tables", questions.ask_tables, questions.tables),
    Question("shadow_fills", questions.ask_fills, questions.fills))
BROKEN: Final = ("executes-user-pages", "no-mxr", "forgives-a", "forgives-d", "no-access-fault", "misaligned")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=4, name="shadow", title="Shadow paging", concept="two translations in one table: GVA to GPA to HPA",
    folder=Path(__file__).parent, kit=("paging", "remote"), versions="hartvisor.labs.lab04_shadow.versions",
    questions=QUESTIONS,
    tasks=(Task("walk", "Whose fault is it?"), Task("fill", "Shadow tables"), Task("fences", "Fences and spaces"),
           Task("fewer", "Fewer fills"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("walk-guest", "walk", "the guest's tables, read as its hart would", 12, checks.asked("walk_guest"),
              cpu=0.06),
        Check("classify-fault", "walk", "the guest's own fault, a device, or a missing shadow entry", 8,
              checks.asked("classify_fault"), cpu=0.07),
        Check("mapping", "fill", "pages mapped, aliased, forbidden, A and D clear: as on the bare hart", 14,
              checks.in_guests(programs.mapping), cpu=0.05),
        Check("rights", "fill", "U, SUM and MXR, worked into the leaves", 14, checks.in_guests(programs.rights),
              cpu=0.05),
        Check("spaces", "fences", "address spaces, ASIDs, Bare; nothing stale behind a fence", 12,
              checks.in_guests(programs.spaces), cpu=0.05),
        Check("honest-faults", "fill", "the guest's own faults reach the guest", 8,
              checks.in_guests(programs.honest_faults, 2), "negative", cpu=0.05),
        Check("fills", "fewer", "two processes take turns: fills against dropping everything", 12, checks.fills, "band",
              cpu=0.05),
        mutation("tests", 12, BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
