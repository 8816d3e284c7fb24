"""Building the guests: only what changed, the same bytes each time, one clear message when it cannot be done."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hartvisor.guest import build as build_module
from hartvisor.guest import image
from hartvisor.guest.build import BuildError, build
from hartvisor.guest.catalog import GUEST, PROGRAMS
from hartvisor.guest.ramdisk import ENTRY, HEADER, MAGIC, pack, strip_elf


def test_second_build_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(["hello", "spin"], tmp_path)
    assert "guests: 2 built, 0 up to date" in capsys.readouterr().out
    build(["hello", "spin"], tmp_path)
    assert capsys.readouterr().out == "guests: 0 built, 2 up to date\n"


def test_build_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    build(["hello"], tmp_path)
    assert (tmp_path / "hello.elf").read_bytes() == image("hello").read_bytes()


def test_programs_for_debian_are_the_same_bytes_anywhere(tmp_path: Path) -> None:
    archive = tmp_path / "programs.cpio"
    assert build_module.build_programs(archive)
    assert archive.read_bytes() == PROGRAMS.read_bytes()
    assert b"bin/kvmrun\0" in archive.read_bytes()
    assert not build_module.build_programs(archive)


def test_missing_compiler_is_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "compiler_version", lambda: "")
    with pytest.raises(BuildError, match="pip install ziglang"):
        build(["hello"], tmp_path)


def test_unknown_guest_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no guest named nobody; there are kernel,"):
        build(["nobody"], tmp_path)


def test_compiler_error_is_shown(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("void main(void) { nonsense; }\n")
    with pytest.raises(BuildError, match=r"(?s)compiling wrong failed:.*wrong\.c:1.*nonsense"):
        build_module.compile_elf([source], GUEST / "lib" / "guest.ld", (), [source], tmp_path / "wrong.elf")


def test_ramdisk_holds_the_files_in_order_each_on_a_page() -> None:
    files = {"b": b"second", "a": b"x" * 5000, "empty": b""}
    archive = pack(files)
    assert HEADER.unpack_from(archive) == (MAGIC, 3)
    entries = [ENTRY.unpack_from(archive, HEADER.size + ENTRY.size * i) for i in range(3)]
    assert [name.rstrip(b"\0") for name, _, _ in entries] == [b"a", b"b", b"empty"]
    for name, offset, size in entries:
        assert offset % 4096 == 0
        assert archive[offset : offset + size] == files[name.rstrip(b"\0").decode()]


def test_ramdisk_refuses_a_name_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="at most 23 characters"):
        pack({"n" * 24: b""})


def test_stripped_program_keeps_all_that_is_loaded() -> None:
    elf = image("hello").read_bytes()
    stripped = strip_elf(elf)
    assert len(stripped) < len(elf) / 2
    assert struct.unpack_from("<Q", stripped, 24) == (0x80200000,)
    assert struct.unpack_from("<Q", stripped, 40) == (0,)  # no section headers
    assert elf[64:].startswith(stripped[64:])
