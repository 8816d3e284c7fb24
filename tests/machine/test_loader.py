"""Loading guest images: what is taken as it is, and one clear line for what is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hartvisor.core.errors import ImageError
from hartvisor.core.machine.loader import CodeRange, Image, Segment, load_image, parse_image, place
from hartvisor.core.machine.memory_map import RAM_BASE, Region, device_tree_region
from tests.oracles import require_oracle

from .elf_maker import ET_DYN, PT_INTERP, STB_LOCAL, Part, Symbol, make_elf

MIB = 1 << 20
CODE = bytes(range(64))
SOUND = make_elf(
    [Part(RAM_BASE, CODE), Part(RAM_BASE + 0x1000, b"data", memsz=0x2000)],
    RAM_BASE + 4,
    [Symbol("_start", RAM_BASE + 4), Symbol("helper", RAM_BASE + 8, STB_LOCAL)],
)


class Ram:
    """RAM that remembers what was written to it."""

    def __init__(self) -> None:
        self.written: dict[int, bytes] = {}

    def write(self, gpa: int, data: bytes) -> None:
        self.written[gpa] = data


def place_in(image: Image, size: int, reserved: tuple[Region, ...] = ()) -> dict[int, bytes]:
    """Place the image in RAM of `size` bytes; returns what was written where."""
    ram = Ram()
    place(image, ram.write, RAM_BASE, size, reserved)
    return ram.written


def refusal(data: bytes) -> str:
    """The one line that says why parse_image does not take `data`."""
    with pytest.raises(ImageError) as caught:
        parse_image(data, "guest.elf")
    message = str(caught.value)
    assert message.startswith("guest.elf: ")
    assert "\n" not in message
    return message


# --- what is taken


def test_a_sound_file_gives_entry_and_segments() -> None:
    image = parse_image(SOUND, "guest.elf")
    assert image.entry == RAM_BASE + 4
    assert image.segments == (Segment(RAM_BASE, CODE, 64), Segment(RAM_BASE + 0x1000, b"data", 0x2000))


def test_symbols_are_addresses_by_name() -> None:
    assert parse_image(SOUND, "guest.elf").symbols == {"_start": RAM_BASE + 4, "helper": RAM_BASE + 8}


def test_a_global_symbol_wins_over_a_local_one_of_its_name() -> None:
    for first, second in ((STB_LOCAL, 1), (1, STB_LOCAL)):
        symbols = [Symbol("x", 10 + first, first), Symbol("x", 10 + second, second)]
        data = make_elf([Part(RAM_BASE, CODE)], RAM_BASE, symbols)
        assert parse_image(data, "guest.elf").symbols == {"x": 11}


def test_a_stripped_file_has_no_symbols() -> None:
    assert parse_image(make_elf([Part(RAM_BASE, CODE)], RAM_BASE), "guest.elf").symbols == {}


def test_without_sections_the_executable_segments_are_the_code() -> None:
    high = 0xFFFF_FFFF_8000_0000
    parts = [Part(RAM_BASE, CODE, vaddr=high), Part(RAM_BASE + 0x1000, b"data", is_executable=False)]
    assert parse_image(make_elf(parts, high), "guest.elf").code_ranges == (CodeRange(high, CODE),)


def test_segments_come_by_rising_address_and_empty_ones_are_left_out() -> None:
    data = make_elf([Part(RAM_BASE + 0x1000, CODE), Part(RAM_BASE + 0x800, b""), Part(RAM_BASE, CODE)], RAM_BASE)
    assert [segment.gpa for segment in parse_image(data, "guest.elf").segments] == [RAM_BASE, RAM_BASE + 0x1000]


def test_a_kernel_linked_high_is_placed_and_entered_at_its_physical_address() -> None:
    high = 0xFFFF_FFFF_8000_0000
    image = parse_image(make_elf([Part(RAM_BASE, CODE, vaddr=high)], high + 8), "guest.elf")
    assert (image.entry, image.segments[0].gpa) == (RAM_BASE + 8, RAM_BASE)


def test_a_static_position_independent_executable_is_taken_as_linked() -> None:
    assert parse_image(make_elf([Part(RAM_BASE, CODE)], RAM_BASE, kind=ET_DYN), "guest.elf").entry == RAM_BASE


def test_place_writes_the_bytes_of_each_segment_and_leaves_bss_alone() -> None:
    data = make_elf([Part(RAM_BASE, CODE, memsz=MIB), Part(RAM_BASE + MIB, b"", memsz=MIB)], RAM_BASE)
    assert place_in(parse_image(data, "guest.elf"), 4 * MIB) == {RAM_BASE: CODE}


def test_an_image_may_fill_ram_to_the_last_byte() -> None:
    image = parse_image(make_elf([Part(RAM_BASE, CODE, memsz=4 * MIB)], RAM_BASE), "guest.elf")
    assert place_in(image, 4 * MIB) == {RAM_BASE: CODE}


def test_load_image_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "guest.elf"
    path.write_bytes(SOUND)
    assert load_image(path).entry == load_image(str(path)).entry == RAM_BASE + 4


def test_a_file_made_by_gnu_binutils_loads(tmp_path: Path) -> None:
    assembler, linker = require_oracle("riscv64-linux-gnu-as"), "riscv64-linux-gnu-ld"
    source = ".option norvc\n.globl _start\n_start: nop\nhere: j here\n.data\nvalue: .dword 42\n.bss\n.skip 4096\n"
    (tmp_path / "a.s").write_text(source)
    subprocess.run([assembler, "-o", tmp_path / "a.o", tmp_path / "a.s"], check=True)
    addresses = ["-Ttext=0x80200000", "-Tdata=0x80300000"]
    subprocess.run([linker, *addresses, "-o", tmp_path / "a.elf", tmp_path / "a.o"], check=True)
    image = load_image(tmp_path / "a.elf")
    assert image.entry == image.symbols["_start"] == 0x8020_0000
    assert image.symbols["value"] == 0x8030_0000
    assert image.code_ranges == (CodeRange(0x8020_0000, bytes.fromhex("130000006f000000")),)
    written = place_in(image, 16 * MIB)
    (data_at,) = (gpa for gpa in written if gpa <= 0x8030_0000 < gpa + len(written[gpa]))
    assert written[data_at][0x8030_0000 - data_at :][:8] == (42).to_bytes(8, "little")


# --- what is refused


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.elf: No such file or directory; give the path of an ELF file"):
        load_image(tmp_path / "nowhere.elf")


def test_a_directory_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a regular file"):
        load_image(tmp_path)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ImageError, match="not a file name"):
        load_image("a\0b")


def test_a_file_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="Not a directory"):
        load_image(tmp_path / "file" / "guest.elf")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty; expected a statically linked 64-bit little-endian RISC-V ELF"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (b"MZ" + bytes(100), "not an ELF file"),
        (SOUND[:40], "truncated: the file ends within its ELF header"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, elf_class=1), "a 32-bit ELF; expected a statically linked 64-bit"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, elf_class=9), "a classless ELF"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, byte_order=2), "a big-endian ELF"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, machine=62), "built for x86-64; expected a statically linked"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, machine=9999), "built for machine number 9999"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, kind=1), "a relocatable object file, not an executable"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, kind=4), "a core dump, not an executable"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE, kind=77), "ELF type 77, not an executable"),
        (make_elf([], RAM_BASE), "has no loadable segments"),
        (make_elf([Part(RAM_BASE, b"")], RAM_BASE), "has no loadable segments"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE + 64), "the entry point 0x80000040 is in no segment"),
        (make_elf([Part(RAM_BASE, CODE, memsz=4096)], RAM_BASE + 64), "the entry point 0x80000040 is in no segment"),
        (make_elf([Part(RAM_BASE, CODE)], RAM_BASE + 3), "the entry point 0x80000003 is odd"),
        (make_elf([Part(RAM_BASE, CODE), Part(0, b"/lib/ld.so\0", kind=PT_INTERP)], RAM_BASE), "dynamically linked"),
        (make_elf([Part(RAM_BASE, CODE), Part(RAM_BASE + 32, CODE)], RAM_BASE), "overlaps segment at 0x80000020"),
        (make_elf([Part(RAM_BASE, CODE, filesz=65)], RAM_BASE), "truncated: the segment for 0x80000000 lies beyond"),
        (make_elf([Part(RAM_BASE, CODE, memsz=63)], RAM_BASE), "damaged ELF: 64 bytes for the segment of 63 bytes"),
        (make_elf([Part(1 << 63, CODE, memsz=1 << 63 | 1)], 1 << 63), "run past the end of all addresses"),
    ],
)
def test_a_file_that_cannot_run_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_every_truncation_is_refused() -> None:
    for size in range(len(SOUND)):
        refusal(SOUND[:size])


def test_a_program_header_table_beyond_the_end_is_refused() -> None:
    data = bytearray(SOUND)
    data[32:40] = (1 << 40).to_bytes(8, "little")
    assert "truncated: the program header table lies beyond the file's end" in refusal(bytes(data))


def test_program_headers_of_another_size_are_refused() -> None:
    data = bytearray(SOUND)
    data[54:56] = (32).to_bytes(2, "little")
    assert "program headers of 32 bytes; they have 56" in refusal(bytes(data))


def test_a_damaged_symbol_table_is_reported_when_it_is_read() -> None:
    data = bytearray(SOUND)
    symtab_header = len(SOUND) - 2 * 64
    data[symtab_header + 24 : symtab_header + 32] = (1 << 40).to_bytes(8, "little")
    image = parse_image(bytes(data), "guest.elf")
    with pytest.raises(ImageError, match=r"^guest\.elf: damaged symbol table \(.*\); rebuild or strip it$"):
        _ = image.symbols


@pytest.mark.parametrize(
    ("part", "advice"),
    [
        (Part(RAM_BASE, CODE, memsz=4 * MIB + 1), "give the guest more memory or link it there"),
        (Part(RAM_BASE + 4 * MIB - 32, CODE), "give the guest more memory or link it there"),
        (Part(RAM_BASE, CODE, memsz=1 << 60), "give the guest more memory or link it there"),
        (Part(RAM_BASE + 4 * MIB, CODE), "give the guest more memory or link it there"),
        (Part(RAM_BASE - 32, CODE), "link it there"),
        (Part(0x10000, CODE), "link it there"),
    ],
)
def test_a_segment_outside_ram_is_refused(part: Part, advice: str) -> None:
    image = parse_image(make_elf([part], part.paddr), "guest.elf")
    with pytest.raises(ImageError, match=rf"^guest\.elf: segment at .* does not fit in memory, RAM at .*; {advice}$"):
        place_in(image, 4 * MIB)


def test_nothing_is_written_of_an_image_that_is_refused() -> None:
    image = parse_image(make_elf([Part(RAM_BASE, CODE), Part(RAM_BASE + 4 * MIB, CODE)], RAM_BASE), "guest.elf")
    ram = Ram()
    with pytest.raises(ImageError):
        place(image, ram.write, RAM_BASE, 4 * MIB)
    assert ram.written == {}


def test_a_segment_over_the_device_tree_is_refused() -> None:
    image = parse_image(make_elf([Part(RAM_BASE, CODE, memsz=3 * MIB)], RAM_BASE), "guest.elf")
    with pytest.raises(ImageError, match=r"overlaps the device tree at 0x80200000-0x803fffff; give .* more memory"):
        place_in(image, 4 * MIB, (device_tree_region(4 * MIB),))


# --- damage


def try_everything(data: bytes) -> None:
    """Load, place and read the symbols of a damaged file: ImageError is all that may come of it."""
    try:
        image = parse_image(data, "guest.elf")
        place_in(image, 16 * MIB)
        _ = image.symbols, image.code_ranges
    except ImageError as error:
        assert "\n" not in str(error)


@given(st.dictionaries(st.integers(0, len(SOUND) - 1), st.integers(0, 255), max_size=8), st.integers(0, len(SOUND)))
def test_damaged_bytes_and_lost_ends_give_an_image_error_or_an_image(flips: dict[int, int], size: int) -> None:
    data = bytearray(SOUND)
    for offset, value in flips.items():
        data[offset] = value
    try_everything(bytes(data))
    try_everything(bytes(data[:size]))


@given(st.binary(max_size=400))
def test_garbage_after_a_good_start_gives_an_image_error_or_an_image(garbage: bytes) -> None:
    try_everything(SOUND[:20] + garbage)


def test_every_single_byte_at_its_extremes_gives_an_image_error_or_an_image() -> None:
    for offset in range(len(SOUND)):
        for value in (0x00, 0x01, 0x7F, 0xFF):
            data = bytearray(SOUND)
            data[offset] = value
            try_everything(bytes(data))
