"""Lab 5, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, programs, questions

QUESTIONS: Final = (
    Question("mmio_exits", questions.ask_exits, questions.exits),
    Question("used_element", questions.ask_element, questions.element))
BROKEN: Final = ("straddles", "thre-stays", "one-too-many", "end-unchecked", "trusts-idx", "stuck-at-wrap", "next-slot")
"""Of versions.py, which is imported where it runs."""

LAB: Final = Lab(
    number=5, name="devices", title="Devices", concept="MMIO, interrupts and DMA, for a guest that may lie",
    folder=Path(__file__).parent, kit=("devices", "remote"), versions="hartvisor.labs.lab05_devices.versions",
    questions=QUESTIONS,
    tasks=(Task("mmio", "Which register?"), Task("uart", "A serial port"), Task("dma", "The guest's memory"),
           Task("rings", "Virtqueues"), Task("lies", "Drivers that lie"), Task("fewer", "Fewer reads"),
           Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("mmio-dispatch", "mmio", "the device and offset of an access, or a fault", 6, checks.dispatching),
        Check("mmio-guests", "mmio", "guests that touch devices, holes and edges: as on the bare machine", 6,
              checks.in_guests(programs.dispatching, 2)),
        Check("uart-registers", "uart", "every register, with its side effects", 8, checks.registers, cpu=0.05),
        Check("uart-guests", "uart", "drivers with interrupts, and somebody who types: as on the bare machine", 10,
              checks.in_guests(programs.uart, 3), cpu=0.05),
        Check("dma", "dma", "read_guest and write_guest, over pages that lie anywhere, and the end of RAM", 8,
              checks.dma, cpu=0.06),
        Check("rings", "rings", "virtq_pop and virtq_push for honest drivers, past idx 65535", 12, checks.honest,
              cpu=0.12),
        Check("disk-guests", "rings", "drivers of a disk: as on the bare machine, to the last byte of memory", 12,
              checks.in_guests(programs.disk, 2), cpu=0.05),
        Check("malicious-rings", "lies", "rings that break the rules, or change while they are read", 12,
              checks.malicious, "negative", cpu=0.1),
        Check("reads", "fewer", "reads of memory for a chain, against one for each part that is new", 6, checks.reads,
              "band", cpu=0.05),
        mutation("tests", 12, BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
