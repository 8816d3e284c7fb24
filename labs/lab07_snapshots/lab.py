"""Lab 7, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions

QUESTIONS: Final = (
    Question("pages_copied", questions.ask_copies, questions.copies),
    Question("pages_of_b", questions.ask_pages, questions.pages))
BROKEN: Final = ("forgets-register", "misses-devices", "never-clears", "restore-is-no-store", "keeps-new-pages",
                 "one-step-back", "forgets-too-much")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=7, name="snapshots", title="Snapshots", concept="copy-on-write and dirty tracking, by write protection",
    folder=Path(__file__).parent, kit=("frames", "remote"), versions="hartvisor.labs.lab07_snapshots.versions",
    questions=QUESTIONS,
    tasks=(Task("back", "There and back"), Task("log", "Who was stored to?"), Task("forget", "Forgetting"),
           Task("fewer", "Fewer copies"), Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("line", "back", "a snapshot, and back to it, again and again", 12, checks.line),
        Check("tree", "back", "snapshots of many histories, gone to in any order, under shadow paging", 14,
              checks.tree),
        Check("devices", "back", "devices store, too: over page ends, and to pages that had no frame", 10,
              checks.devices),
        Check("isolation", "back", "every page is stored to, and the snapshot has none of it", 8, checks.isolated,
              "negative"),
        Check("dirty-log", "log", "all pages that were stored to since the last log, and no others", 14, checks.logs,
              cpu=0.04),
        Check("frames", "forget", "snapshots are forgotten: the others stay whole, no frame is held for nothing", 12,
              checks.forgetting, cpu=0.04),
        Check("copies", "fewer", "pages copied, against those stored to while a snapshot had them", 10, checks.copies,
              "band"),
        mutation("tests", 12, BROKEN, cpu=0.07),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
