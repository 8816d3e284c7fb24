"""Symbols by address, from ELF files and maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.errors import ImageError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.symbols import Symbols, read_symbols_file, symbols_from_json, symbols_of
from hartvisor.guest import image

MAP = b"""\
0000000000000000 A absolute
ffffffff80000000 T _start
ffffffff80000000 T _text
ffffffff80000040 t local_helper
ffffffff80000060 d some_data
ffffffff80002000 W weak_one
ffffffffc0001000 t in_a_module\t[virtio_net]
"""


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    path = tmp_path / "System.map"
    path.write_bytes(MAP)
    return path


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0xFFFF_FFFF_8000_0000, "_start"),
        (0xFFFF_FFFF_8000_0004, "_start+0x4"),
        (0xFFFF_FFFF_8000_0060, "local_helper+0x20"),
        (0xFFFF_FFFF_8000_2001, "weak_one+0x1"),
        (0xFFFF_FFFF_C000_1010, "in_a_module+0x10"),
        (0xFFFF_FFFF_B000_0000, ""),
        (0x8000_0000, ""),
        (0, ""),
    ],
)
def test_a_map_names_code(address: int, name: str, map_file: Path) -> None:
    assert read_symbols_file(map_file).describe(address) == name


def test_a_map_may_stand_among_a_consoles_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "console"
    said = b"[    0.1] Linux version 6.12\r\n~ # cat /proc/kallsyms\r\n"
    path.write_bytes(said + MAP.replace(b"\n", b"\r\n") + b"~ # \xff")
    assert read_symbols_file(path).describe(0xFFFF_FFFF_8000_0044) == "local_helper+0x4"


def test_an_elf_file_names_its_code_and_nothing_else() -> None:
    guest = load_image(image("kernel"))
    symbols = symbols_of(guest)
    main = guest.symbols["trap_vector"]
    assert symbols.find(main + 2) == ("trap_vector", 2)
    assert symbols.describe(guest.segments[-1].region.end + 64) == ""
    assert symbols.describe(guest.entry) == "_start"
    assert read_symbols_file(image("kernel")).as_json() == symbols.as_json()


def test_symbols_survive_json() -> None:
    symbols = Symbols({16: "f", 32: "g"}, [(16, 40)])
    again = symbols_from_json(symbols.as_json())
    assert [again.describe(address) for address in (15, 16, 36, 40)] == ["", "f", "g+0x4", ""]
    assert not symbols_from_json({})


@pytest.mark.parametrize("data", [b"no symbols here\n", b"0000000000000000 T hidden\n0000000000000000 T all\n"])
def test_a_file_without_symbols_is_refused(data: bytes, tmp_path: Path) -> None:
    """Such as /proc/kallsyms read by a user who may not see addresses."""
    (tmp_path / "map").write_bytes(data)
    with pytest.raises(ImageError, match="map: no symbols of code; give an ELF file"):
        read_symbols_file(tmp_path / "map")
