"""The images themselves: that all are there, that they are what a loader expects, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from hartvisor.guest import GuestError, ImageInfo, image, image_info, images
from hartvisor.guest.catalog import GUEST

NAMES = [info.name for info in images()]
SFENCE_VMA = 0x12000073
SFENCE_VMA_MASK = 0xFE007FFF


def instructions(path: Path) -> Iterator[int]:
    """Yield the instructions of an ELF file's .text, in order."""
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        text = section.data()
    at = 0
    while at + 2 <= len(text):
        length = 4 if text[at] & 3 == 3 else 2
        yield int.from_bytes(text[at : at + length], "little")
        at += length


def test_names_differ_and_each_has_a_description() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(info.description and len(info.description) < 120 for info in images())


@pytest.mark.parametrize("name", NAMES)
def test_image_is_an_executable_that_starts_where_firmware_jumps(name: str) -> None:
    with image(name).open("rb") as file:
        elf = ELFFile(file)
        assert (elf["e_machine"], elf["e_type"], elf.elfclass) == ("EM_RISCV", "ET_EXEC", 64)
        assert elf["e_entry"] == 0x80200000
        loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
        assert min(segment["p_paddr"] for segment in loads) == 0x80200000
        assert elf["e_flags"] & 0x6 == 0  # the soft-float ABI: no FP registers
        assert elf.get_section_by_name(".debug_line") is not None


@pytest.mark.parametrize("name", NAMES)
def test_image_does_not_tell_where_it_was_built(name: str) -> None:
    content = image(name).read_bytes()
    assert str(GUEST.parent).encode() not in content
    assert str(Path.home()).encode() not in content


def test_only_the_kernel_without_fences_has_none() -> None:
    def fences(name: str) -> int:
        return sum(bits & SFENCE_VMA_MASK == SFENCE_VMA for bits in instructions(image(name)))

    assert fences("kernel") > 0
    assert fences("kernel-nofence") == 0


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(GuestError, match=r"no guest is named 'kernle'; there are kernel, .*hello"):
        image("kernle")


def test_image_that_is_not_built_is_answered_with_how_to_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ImageInfo, "path", property(lambda self: tmp_path / "none.elf"))
    with pytest.raises(GuestError, match=r"guest hello is not there yet .* python -m hartvisor\.guest\.build"):
        image("hello")


def test_kernel_is_interactive_unless_told_to_work() -> None:
    info = image_info("kernel")
    assert (info.append, info.workload) == ("", "workload")
