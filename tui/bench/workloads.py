"""The workloads: which image each runs, how often it does its work, and through how many pages."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ...core.hart import TLB_ENTRIES
from ...guest import image

MEMORY = "512M"
"""RAM of every machine that runs a workload."""

PAGES = 8192


@dataclass(frozen=True)
class Workload:
    """One workload. rounds: how often an image does its work, 0 for the teaching kernel, which has an argument for it;
    pages: how many it touches, where that matters; append: boot arguments, of a guest that is not a bare image."""

    name: str
    image: str
    rounds: int = 0
    pages: int = PAGES
    append: str = ""

    @property
    def is_bare(self) -> bool:
        """Whether it is its machine's firmware, and not a kernel on some."""
        return self.rounds > 0

    def shortened(self, by: int) -> Workload:
        """The same with that many times fewer rounds, one at least."""
        return replace(self, rounds=max(1, self.rounds // by)) if self.is_bare else self


WORKLOADS = (
    Workload("integer", "bench-integer", 2400),
    Workload("dhrystone", "bench-dhrystone", 2000),
    Workload("memory", "bench-memory", 16, 2 * TLB_ENTRIES),
    Workload("memory-chase", "bench-memory-chase", 16, 2 * TLB_ENTRIES),
    Workload("memory-sieve", "bench-memory-sieve", 64),
    Workload("memory-copy", "bench-memory-copy", 48),
    Workload("float", "bench-float", 600),
    Workload("sv39", "bench-sv39", 12),
    Workload("sv39-wide", "bench-sv39", 12, 4 * TLB_ENTRIES),
    Workload("two-stage", "bench-two-stage", 12),
    Workload("two-stage-wide", "bench-two-stage", 12, 4 * TLB_ENTRIES),
    Workload("traps", "bench-traps", 100),
    Workload("boot", "kernel", append="workload=4"),
)
"""In the order of the report."""

TARGETS = {"integer": 0.35, "dhrystone": 0.6, "memory": 2.0, "float": 1.0, "sv39": 2.0, "two-stage": 2.5, "traps": 2.0}
"""The least ratio to QEMU that is aimed at."""


def write_image(workload: Workload, folder: Path) -> Path:
    """The workload's image with its parameters in it, in `folder`: the one file that everybody runs."""
    path = image(workload.image)
    if not workload.is_bare:
        return path
    content = bytearray(path.read_bytes())
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection), "an image of ours has its symbols"
        for name, value in (("bench_rounds", workload.rounds), ("bench_pages", workload.pages)):
            address = (symbols.get_symbol_by_name(name) or [])[0]["st_value"]
            for segment in elf.iter_segments("PT_LOAD"):
                inside = address - segment["p_vaddr"]
                if 0 <= inside <= segment["p_filesz"] - 8:
                    struct.pack_into("<Q", content, segment["p_offset"] + inside, value)
    target = folder / f"{workload.name}.elf"
    target.write_bytes(content)
    return target
