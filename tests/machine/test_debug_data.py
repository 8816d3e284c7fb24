"""Source lines by address: of a shipped guest they are what the compiler was given; of damaged data there are none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hartvisor.core.machine.call_frames import CallFrames
from hartvisor.core.machine.debug_data import DebugData, SourceLine, is_end_of
from hartvisor.core.machine.loader import Image, load_image
from hartvisor.core.machine.program import Program
from hartvisor.core.machine.symbols import Symbols
from hartvisor.guest import SOURCES, image

KERNEL = load_image(image("kernel"))
DEBUG = DebugData(KERNEL.file)


def text_of(line: SourceLine | None) -> str:
    assert line is not None
    return (SOURCES / line.path).read_text().splitlines()[line.line - 1]


@pytest.mark.parametrize(("symbol", "text"), [
    ("main", "main("), ("schedule", "schedule("), ("trap_vector", "csrrw   sp, sscratch, sp"),
    ("swap_context", "sd      ra, 0(a0)"), ("memcpy", "memcpy(")])
def test_a_function_begins_at_its_line(symbol: str, text: str) -> None:
    line = DEBUG.find(KERNEL.symbols[symbol])
    assert line is not None
    lines = (SOURCES / line.path).read_text().splitlines()
    assert any(text in each for each in lines[max(0, line.line - 2):line.line])


def test_every_line_that_is_found_is_in_its_file() -> None:
    code = KERNEL.code_ranges[0]
    found = [DEBUG.find(address) for address in range(code.address, code.address + len(code.data), 2)]
    lengths = {line.path: len((SOURCES / line.path).read_text().splitlines()) for line in found if line is not None}
    assert all(1 <= line.line <= lengths[line.path] for line in found if line is not None)
    assert found.count(None) < len(found) / 6  # between functions, and where lines were merged
    assert len(lengths) >= 20


def test_inlined_calls_lead_to_lines_that_name_the_function() -> None:
    code = KERNEL.code_ranges[0]
    calls = {call for address in range(code.address, code.address + len(code.data), 2)
             for call in DEBUG.inlined(address)}
    assert len(calls) > 50
    for call in calls:
        if not call.call.line:
            continue
        lines = (SOURCES / call.call.path).read_text().splitlines()[call.call.line - 1:call.call.line + 3]
        assert any(call.name in line for line in lines), call


def test_addresses_of_a_line_lead_back_to_it() -> None:
    line = DEBUG.find(KERNEL.symbols["schedule"])
    assert line is not None
    for path in (line.path, "schedule.c", "kernel/schedule.c", "./kernel/../kernel/schedule.c"):
        assert KERNEL.symbols["schedule"] in DEBUG.addresses(path, line.line)
    assert DEBUG.addresses("edule.c", line.line) == ()
    assert DEBUG.addresses("schedule.c", 100_000) == ()


def test_a_line_without_code_stands_for_the_next_that_has_some() -> None:
    line = DEBUG.find(KERNEL.symbols["schedule"])
    assert line is not None
    comment = next(number for number in range(line.line - 1, 0, -1) if not text_of(SourceLine(line.path, number)))
    found = DEBUG.find(DEBUG.addresses(line.path, comment)[0])
    assert found is not None
    assert found.path == line.path
    assert comment < found.line <= line.line


def test_no_address_outside_code_has_a_line() -> None:
    for address in (0, 1 << 63, KERNEL.symbols["image_end"], KERNEL.code_ranges[0].address - 2):
        assert DEBUG.find(address) is None
        assert DEBUG.inlined(address) == ()


def test_what_is_no_elf_file_has_none() -> None:
    for data in (DebugData(b""), DebugData(b"\0" * 100), DebugData(b"\x7fELF")):
        assert (data.find(0), data.addresses("main.c", 1), data.files(), data.inlined(0)) == (None, (), (), ())


def test_damaged_files_never_raise() -> None:
    """Bytes of the debug sections are changed at random; whatever is found then, it is an answer."""
    good = image("hello").read_bytes()
    chance = random.Random(6)
    for _ in range(40):
        data = bytearray(good)
        for _ in range(chance.choice((1, 10, 200))):
            data[chance.randrange(8192, len(data))] = chance.randrange(256)
        debug, frames = DebugData(bytes(data)), CallFrames(bytes(data))
        program = Program("damaged", Image("damaged", 0, (), bytes(data)))
        for address in range(0x8020_0000, 0x8020_0800, 0x40):
            debug.find(address)
            debug.inlined(address)
            frames.find(address)
            program.symbols.describe(address)
            program.variables.describe(address)
        debug.addresses("hello.c", 10)
        assert isinstance(program.addresses, dict)


def test_variables_are_known_as_far_as_they_extend() -> None:
    program = Program("tern", KERNEL)
    assert program.variables.describe(KERNEL.symbols["processes"]) == "processes"
    assert program.variables.describe(KERNEL.symbols["processes"] + 24) == "processes+0x18"
    assert program.variables.find(KERNEL.symbols["main"]) is None
    assert program.variables.find(KERNEL.symbols["image_end"]) is None
    assert program.addresses["main"] == KERNEL.symbols["main"]


def test_a_program_known_by_a_map_has_its_names() -> None:
    program = Program("linux", None, Symbols({0x1000: "start", 0x1010: "work"}, [(0x1000, 0x1100)]))
    assert program.addresses == {"start": 0x1000, "work": 0x1010}
    assert program.symbols.describe(0x1014) == "work+0x4"
    assert (program.code, program.debug.find(0x1000), program.rules.find(0x1000)) == ((), None, None)


@pytest.mark.parametrize(("end", "path", "fits"), [
    ("main.c", "guest/kernel/main.c", True), ("kernel/main.c", "guest/kernel/main.c", True),
    ("/kernel/main.c", "guest/kernel/main.c", True), ("ain.c", "guest/kernel/main.c", False),
    ("main.c", "main.c", True)])
def test_a_path_is_known_by_its_end(end: str, path: str, fits: bool) -> None:
    assert is_end_of(end, path) == fits


def test_paths_do_not_depend_on_where_it_was_built() -> None:
    assert not [path for path in DEBUG.files() if Path(path).is_absolute() or path.startswith("..")]
