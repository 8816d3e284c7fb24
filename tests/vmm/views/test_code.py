"""Code as it is shown: instructions where they really begin, source lines beside them, and stacks, in kernel and user
mode under every technique; and of guests about which nothing is known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import decode
from hartvisor.core.machine.symbols import Symbols
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.inspector import Inspection, Inspector, moves
from hartvisor.core.vmm.inspector.stops import Breakpoint
from hartvisor.core.vmm.views.code import CodeView, Gap, Insn, Label, SourceMark, view_code
from hartvisor.core.vmm.views.listing import Line, after, before, target_of, text_of
from hartvisor.core.vmm.views.source import view_source
from hartvisor.core.vmm.views.sources import find_source, read_source
from hartvisor.core.vmm.views.stack import view_stack
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import SOURCES, programs

from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, support, tern


def start(technique: str) -> Inspector:
    inspector = tern(technique)
    inspector.code._paths = tuple(programs())
    inspector.sources = (SOURCES,)
    return inspector


def to(inspector: Inspector, symbol: str) -> Inspector:
    inspector.toggle_breakpoint(inspector.code.kernel.addresses[symbol])
    halt = do(moves.go_on(inspector))
    assert halt is not None and halt.reason == "BREAKPOINT"
    return inspector


def in_user_mode(technique: str) -> Inspector:
    inspector = start(technique)
    run(inspector, 100_000)
    while inspector.vcpu.mode or inspector.code.running(inspector.vcpu) is None:
        run(inspector, 100)
    return inspector


def insns(view: CodeView) -> list[Insn]:
    return [line for line in view.lines if isinstance(line, Insn)]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_listing_is_what_memory_holds_and_pc_is_in_it(technique: str) -> None:
    for inspector in (to(start(technique), "schedule"), in_user_mode(technique)):
        do(moves.step(inspector))
        view = look(inspector, view_code)
        here = [line for line in insns(view) if line.is_pc]
        assert [line.address for line in here] == [inspector.vcpu.hart.pc]
        lines = insns(view)
        assert all(one.address + one.size == two.address for one, two in pairwise(lines))
        assert here[0].foretold is not None
        assert view.line is not None
        assert (SOURCES / view.line.path).is_file()


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_labels_targets_and_breakpoints_are_told(technique: str) -> None:
    inspector = to(start(technique), "schedule")
    address = inspector.vcpu.hart.pc
    inspector.breakpoints = (*inspector.breakpoints, Breakpoint(address + 2, is_enabled=False))
    view = look(inspector, lambda inspection: view_code(inspection, address, above=4, below=60))
    assert Label(address, "schedule") in view.lines
    marks = {line.address: line.breakpoint for line in insns(view)}
    assert (marks[address], marks[address + 2], marks[address + 4]) == (True, False, None)
    branches = [line for line in insns(view) if line.target is not None]
    assert branches
    assert all("schedule" in line.text for line in branches if line.text.startswith("b"))


@pytest.mark.parametrize(("technique", "count"), [("bare", 0), ("deprivileged", 4), ("shadow", 0), ("two-stage", 0)])
def test_instructions_that_exit_are_marked_with_the_rule(technique: str, count: int) -> None:
    inspector = to(start(technique), "trap_vector")
    view = look(inspector, lambda inspection: view_code(inspection, above=0, below=60))
    told = [line for line in insns(view) if line.exits]
    assert len([line for line in told if line.text.startswith("csr")]) >= count
    assert bool(told) == (technique == "deprivileged")
    assert all("U-mode" in line.exits for line in told)


def test_source_lines_stand_between_the_instructions() -> None:
    inspector = to(start("shadow"), "schedule")
    view = look(inspector, view_code)
    marks = [line for line in view.lines if isinstance(line, SourceMark)]
    assert len(marks) > 5
    for mark in marks:
        text = (SOURCES / mark.path).read_text().splitlines()[mark.line - 1]
        assert mark.text == text.expandtabs(4).strip()
    assert any(mark.inside == ("pick",) for mark in marks)
    assert not [line for line in look(inspector, lambda inspection: view_code(inspection, has_sources=False)).lines
                if isinstance(line, SourceMark)]


@pytest.mark.parametrize("technique", HYPERVISED)
def test_what_cannot_be_fetched_is_marked_by_its_rule(technique: str) -> None:
    inspector = in_user_mode(technique)
    kernel = inspector.code.kernel.addresses["schedule"]
    gaps = [line for line in look(inspector, lambda inspection: view_code(inspection, kernel)).lines
            if isinstance(line, Gap)]
    assert gaps
    assert all(gap.is_readable and "U" in gap.why for gap in gaps)
    lines = look(inspector, lambda inspection: view_code(inspection, 0x2000_0000_0000)).lines
    assert isinstance(lines[0], Gap)
    assert not lines[0].is_readable


def test_every_instruction_before_an_address_begins_where_it_does() -> None:
    inspector = start("bare")
    read = inspector.vm.ram.peek
    code = inspector.code.kernel.code[0]
    truth = [line.address for line in after(read, code.address, 4_000)]
    for at in range(40, 4_000, 37):
        found = before(read, truth[at], 12, None)
        assert [line.address for line in found][-8:] == truth[at - 8:at]


def test_a_listing_ends_where_memory_does() -> None:
    data = bytes.fromhex("13000000" * 3)
    lines = after(lambda address, length: data[address:address + length], 0, 8)
    assert [line.bits for line in lines[:3]] == [0x13] * 3
    assert lines[3].bits is None
    assert before(lambda address, length: b"", 0x1000, 8, None) == []
    assert after(lambda address, length: b"", (1 << 64) - 2, 8)[-1].address < 1 << 64


def test_compressed_instructions_read_as_what_they_stand_for() -> None:
    for bits, text in ((0x7139, "addi sp,sp,-64"), (0x8082, "ret"), (0x852E, "mv a0,a1"), (0xC001, "beqz s0,0x1000"),
                       (0x4501, "li a0,0"), (0x0001, "nop"), (0x9002, "ebreak"), (0x6081, "c.mop.1")):
        assert text_of(bits, 0x1000) == text
    for bits in range(1 << 16):
        if bits & 3 != 3 and decode(bits) is not None:
            assert text_of(bits, 0x8020_0000)
    assert target_of(Line(0x1000, 0xA001, 2)) == 0x1000


# --- source


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_source_is_in_step_in_kernel_and_program(technique: str) -> None:
    for inspector in (to(start(technique), "schedule"), in_user_mode(technique)):
        view = look(inspector, view_source)
        assert view.lines == tuple(line.expandtabs(4) for line in (SOURCES / view.path).read_text().splitlines())
        assert view.line == view.pc_line
        assert view.line in dict(view.code)
        assert not view.message


def test_a_line_with_a_breakpoint_is_marked() -> None:
    inspector = to(start("two-stage"), "schedule")
    view = look(inspector, view_source)
    assert view.breakpoints == (view.line,)


def test_source_that_is_not_here_is_one_clear_line(tmp_path: Path) -> None:
    inspector = to(start("two-stage"), "schedule")
    inspector.sources = (tmp_path,)
    view = look(inspector, view_source)
    assert view.lines == ()
    assert view.message.startswith("guest/kernel/schedule.c:")
    assert str(tmp_path) in view.message
    view = look(inspect("j .", "bare"), view_source)
    assert "nothing is known of the code" in view.message


def test_a_source_is_found_by_the_end_of_its_path(tmp_path: Path) -> None:
    file = tmp_path / "kernel" / "main.c"
    file.parent.mkdir()
    file.write_text("one\n\ttwo\x07\n")
    folders = (tmp_path,)
    for path in ("guest/kernel/main.c", "kernel/main.c", "/build/kernel/main.c", "../kernel/main.c", str(file)):
        assert find_source(path, folders) == file
    for path in ("main.c", "guest/main.c", "kernel", "", "kernel/main.c/x", "\0"):
        assert find_source(path, folders) is None
    assert read_source(file) == ("one", "    two?")
    assert read_source(tmp_path / "none") == ()


# --- stack


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_stack_leads_through_a_trap_into_the_program(technique: str) -> None:
    inspector = to(in_user_mode(technique), "schedule")
    for _ in range(12):
        do(moves.step(inspector))
    view = look(inspector, view_stack)
    names = [frame.name.partition("+")[0] for frame in view.frames if not frame.is_inlined]
    assert names[:3] == ["schedule", "user_trap", "trap_vector"]
    assert names[-1] == "_start"
    interrupted = next(frame for frame in view.frames if frame.is_interrupted)
    assert interrupted.address < 0x8000_0000
    notes = {note: slot for slot in view.slots for note in slot.notes}
    assert notes["return of #0"].leads[0].name.startswith("user_trap+")
    assert notes["interrupted pc, #3"].value == interrupted.address
    assert notes["sp of #3"].value == interrupted.sp


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_slots_are_what_memory_holds(technique: str) -> None:
    inspector = in_user_mode(technique)
    view = look(inspector, view_stack)
    assert view.slots
    for slot in view.slots[:8]:
        assert slot.value.to_bytes(8, "little") == inspector.target.read(0, slot.address, 8, is_physical=False)
        assert slot.offset == slot.address - view.sp


def test_inlined_functions_are_in_the_stack_without_a_frame_of_their_own() -> None:
    inspector = start("two-stage")
    seen = []
    for _ in range(300):
        run(inspector, 997)
        view = view_stack(Inspection([inspector]))
        numbers = [frame.number for frame in view.frames if not frame.is_inlined]
        assert numbers == list(range(len(numbers)))
        seen += [frame for frame in view.frames if frame.is_inlined]
    assert len(seen) > 10


def test_a_stack_pointer_that_leads_nowhere_is_told() -> None:
    inspector = inspect("li sp, 0x123\nj .", "shadow")
    run(inspector, 4)
    view = look(inspector, view_stack)
    assert (view.slots, view.is_aligned) == ((), False)
    assert "leads to no memory" in view.message


# --- what has no ELF file


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_code_known_by_a_map_alone_is_shown(technique: str) -> None:
    """As Linux is: an image without symbols or debug data, and a System.map."""
    text = "_start: la sp, stack\ncall work\n1: j 1b\nwork: addi a0, a0, 1\nj work\n.zero 64\nstack: .dword 0"
    vm, work = support.start(text, technique), assemble(text, support.ENTRY).symbols["work"]
    entry = vm.hart.pc
    inspector = Inspector("linux", vm, symbols=Symbols({entry: "_start", work: "work"}, [(entry, entry + 64)]))
    run(inspector, 10)
    view = look(inspector, view_code)
    assert view.function.startswith("work")
    assert Label(entry, "_start") in view.lines
    assert view.line is None
    assert [frame.name.partition("+")[0] for frame in look(inspector, view_stack).frames] == ["work", "_start"]


def test_nothing_at_all_is_known_and_still_shown() -> None:
    inspector = Inspector("empty", Vm(VmConfig(technique="two-stage", memory=8 << 20), None))
    view = look(inspector, view_code)
    assert isinstance(view.lines[0], Gap)
    assert look(inspector, view_source).message
    assert look(inspector, view_stack).message
