"""A trace as text, as JSON lines, and as a timeline that Perfetto can read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.symbols import Symbols, symbols_of
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.exits import labelled
from hartvisor.core.vmm.trace.events import KINDS, Access, ExitEvent, Instruction, TrapEvent, WireEvent
from hartvisor.core.vmm.trace.lines import json_formatter, text_formatter
from hartvisor.core.vmm.trace.perfetto import timeline
from hartvisor.core.vmm.trace.reader import TraceFile
from hartvisor.core.vmm.trace.recorder import Recorder
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .support import start

SYMBOLS = Symbols({0x8020_0000: "_start", 0x8020_0010: "work"}, [(0x8020_0000, 0x8020_0100)])
LINES = [
    (Instruction(7, 0, 0x8020_0014, 0x13, 1, 0, 0),
     "           7 S  80200014 <work+0x4>                00000013  nop"),
    (Instruction(8, 1, 0x8020_0000, 0x4505, 0, 10, 1),
     "           8 U  80200000 <_start>                  4505      c.li a0,1                       a0 = 0x1"),
    (Access(9, 0, 0x8020_0000, 0x1000, 0x8030_0000, 0xFF, 1, True, 5),
     "           9 VS   store 1 1000 at 80300000 = 0xff"),
    (Access(9, 0, 0x8020_0000, 0x1000, 0x1000, 0, 8, False, 3), "           9 M    load 8 1000 = 0x0"),
    (ExitEvent(10, 0, "csr", 0x8020_0010, 0x1405_1073, 0, 22, 0x1405_1073, 1),
     "          10 S  exit csr, pc 80200010 <work>, virtual instruction, tval 0x14051073: csrw sscratch,a0"),
    (TrapEvent(11, 0, 1 << 63 | 5, 0x100, 0, 0, 1, 0x8020_0010, True),
     "          11 U  trap supervisor timer interrupt, pc 100, tval 0x0, to S 80200010 <work>, "
     "delivered by the hypervisor"),
    (WireEvent(12, 0, 9, 1), "          12    irq  supervisor external interrupt pending"),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=lambda value: type(value).__name__)
def test_text(event: Any, line: str) -> None:
    text = text_formatter(SYMBOLS, 1)(event)
    if isinstance(event, Instruction):  # disassembly and columns: what matters is what is said
        assert text.split() == line.split()
    else:
        assert text == line


def test_text_tells_harts_apart_where_there_are_several() -> None:
    assert text_formatter(SYMBOLS, 4)(WireEvent(12, 3, 9, 0)).split()[:2] == ["12", "3"]


def test_json_lines() -> None:
    line = json_formatter(SYMBOLS)
    assert [json.loads(line(event))["kind"] for event, _ in LINES] == [
        "insn", "insn", "store", "load", "exit", "trap", "irq"]
    assert json.loads(line(LINES[0][0])) == {
        "step": 7, "hart": 0, "kind": "insn", "pc": "0x80200014", "bits": "0x13", "mode": "S",
        "text": "nop", "symbol": "work+0x4"}
    assert json.loads(line(LINES[4][0]))["verdict"] == "handled"
    assert json.loads(line(LINES[5][0]))["cause"] == "STI"


# --- the timeline

# Trace Event Format (the document of Chrome's trace viewer, to which Perfetto's "Visualizing external trace formats"
# refers): "Event Descriptions" for what an event has, by phase, besides name, ph, pid and tid.
FIELDS: dict[str, dict[str, type]] = {
    "B": {"ts": int, "cat": str},  # Duration Events
    "E": {"ts": int, "cat": str},
    "i": {"ts": int, "cat": str, "s": str, "args": dict},  # Instant Events
    "M": {"ts": int, "args": dict},  # Metadata Events
}
METADATA = {"process_name": {"name": str}, "thread_name": {"name": str}, "thread_sort_index": {"sort_index": int}}


def check_schema(whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a JSON Object Format file, each found to be as the format has it, in order and nested."""
    assert set(whole) == {"traceEvents", "displayTimeUnit", "otherData"}
    assert whole["displayTimeUnit"] in ("ms", "ns")
    events: list[dict[str, Any]] = whole["traceEvents"]
    now = 0
    open_: dict[tuple[int, int], list[str]] = {}
    for event in events:
        fields = {"name": str, "ph": str, "pid": int, "tid": int} | FIELDS[event["ph"]]
        assert {name: type(value) for name, value in event.items()} == fields
        assert event["pid"] > 0
        if event["ph"] == "M":
            wanted = METADATA[event["name"]]
            assert {name: type(value) for name, value in event["args"].items()} == wanted
        if event["ph"] == "i":
            assert event["s"] in ("g", "p", "t")
        assert event["ts"] >= now
        now = event["ts"]
        stack = open_.setdefault((event["pid"], event["tid"]), [])
        if event["ph"] == "B":
            stack.append(event["name"])
        elif event["ph"] == "E":
            assert stack.pop() == event["name"]
    assert not any(open_.values())
    return events


def traced(name: str, technique: str, path: Path, steps: int, vcpus: int = 1) -> tuple[Vm, TraceFile]:
    guest = load_image(image(name))
    vm = start(guest, technique, vcpus=vcpus)
    recorder = Recorder(path / f"{name}-{technique}", KINDS, {"guest": name, "technique": technique, "harts": vcpus},
                        symbols=symbols_of(guest))
    recorder.add_vm(vm)
    vm.run(steps)
    recorder.close()
    return vm, TraceFile(path / f"{name}-{technique}")


def test_a_timeline_of_several_techniques_is_valid_and_has_every_exit(tmp_path: Path) -> None:
    runs = [traced("exits", technique, tmp_path, 60_000) for technique in COMPARED]
    events = check_schema(json.loads("".join(timeline([trace for _, trace in runs], KINDS))))
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert names == [f"exits, {technique}" for technique in COMPARED]
    for process, (vm, _) in enumerate(runs, 1):
        shown = Counter(event["name"] for event in events if event["pid"] == process and event.get("cat") == "exit")
        assert shown == labelled(vm.vcpus[0].exits)
        traps = [event for event in events if event["pid"] == process and event.get("cat") == "trap"]
        assert len(traps) == vm.hart.guest_traps


def test_between_exits_the_guest_runs_or_sleeps(tmp_path: Path) -> None:
    """Slices of a hart follow each other without a gap, from the first exit on."""
    _, trace = traced("ticks", "two-stage", tmp_path, 1_000_000)
    events = check_schema(json.loads("".join(timeline([trace], KINDS))))
    slices = [event for event in events if event.get("cat") == "run"]
    assert {event["name"] for event in slices} == {"guest", "asleep"}
    ends = [event["ts"] for event in slices if event["ph"] == "E"]
    begins = [event["ts"] for event in slices if event["ph"] == "B"]
    assert begins[1:] == ends[:-1]
    asleep = [begin for event, begin in zip(slices[::2], begins, strict=True) if event["name"] == "asleep"]
    wfi = [event["ts"] for event in events if event["name"] == "wfi" and event["ph"] == "i"]
    assert asleep == wfi


def test_the_guests_mode_is_a_track_of_its_own(tmp_path: Path) -> None:
    _, trace = traced("user-mode", "bare", tmp_path, 30_000)
    events = check_schema(json.loads("".join(timeline([trace], KINDS))))
    modes = [event["name"] for event in events if event.get("cat") == "mode" and event["ph"] == "B"]
    assert modes[:3] == ["S", "U", "S"]
    assert all(one != two for one, two in pairwise(modes))


def test_several_vcpus_are_several_threads(tmp_path: Path) -> None:
    _, trace = traced("exits", "shadow", tmp_path, 60_000, vcpus=2)
    events = check_schema(json.loads("".join(timeline([trace], ["exits", "irq"]))))
    names = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert names >= {"vCPU 0 guest", "vCPU 0 exits"}
    assert all(event.get("cat") != "mode" for event in events)
