"""Guest images: reads an ELF file or a Linux `Image`, refuses what no machine of ours could run, and places what is
left in RAM.

Source: System V ABI (gABI) chapters 4 and 5 for ELF, RISC-V ELF psABI for e_machine. The parsing is pyelftools'; what
it makes of damaged files (any exception at all) becomes one ImageError here.
"""

import errno
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from os import strerror
from pathlib import Path
from typing import Any, cast

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..errors import ImageError
from .linux_image import is_linux_image, placement, unpack_kernel
from .memory_map import RAM_BASE, Region

ELF_MAGIC = b"\x7fELF"
EHDR_SIZE = 64
EI_CLASS, EI_DATA = 4, 5
CLASS_NAMES = {1: "32-bit", 2: "64-bit"}
ELFCLASS64 = 2
DATA_NAMES = {1: "little-endian", 2: "big-endian"}
ELFDATA2LSB = 1
EM_RISCV = 243
MACHINE_NAMES = {3: "x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 40: "Arm", 62: "x86-64", 183: "AArch64"}
TYPE_NAMES = {0: "untyped", 1: "a relocatable object file", 4: "a core dump"}
ET_EXEC, ET_DYN = 2, 3
PHDR_SIZE, SHDR_SIZE = 56, 64
PF_X = 1
SHF_ALLOC, SHF_EXECINSTR = 2, 4
ADDRESS_SPACE = 1 << 64
WANTED = "a statically linked 64-bit little-endian RISC-V ELF"


@dataclass(frozen=True)
class Segment:
    """What a PT_LOAD header asks for: `data` at `gpa`, zeros behind it up to `memory_size` bytes."""

    gpa: int
    data: bytes
    memory_size: int

    @property
    def region(self) -> Region:
        """The addresses it fills."""
        return Region("segment", self.gpa, self.memory_size)


@dataclass(frozen=True)
class CodeRange:
    """Instructions for a disassembler: `data` at `address`, as linked (gva where the kernel is linked high)."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Section:
    """A named part of an image in memory, as linked, and where it is loaded."""

    name: str
    address: int
    gpa: int
    size: int


@dataclass(frozen=True)
class Image:
    """A guest image that is sound in itself; whether it fits a given RAM is `place`'s to say.

    name: the file, for messages. entry: gpa of the first instruction. segments: by rising gpa, none empty, none
    overlapping. file: the bytes of an ELF file, with its symbols and debug data; empty for what is none.
    """

    name: str
    entry: int
    segments: tuple[Segment, ...]
    file: bytes = field(repr=False)

    @cached_property
    def symbols(self) -> dict[str, int]:
        """Address by name of every named, defined symbol, as linked (gva where the kernel is linked high). Parsed
        when first read.

        Where a name is defined more than once, a global definition wins over a local one. Only ELF files have any.
        Raises ImageError for a damaged symbol table.
        """
        if not self.file.startswith(ELF_MAGIC):
            return {}
        try:
            return read_symbols(self.file)
        except Exception as error:
            raise ImageError(f"{self.name}: damaged symbol table ({describe(error)}); rebuild or strip it") from error

    @cached_property
    def code_ranges(self) -> tuple[CodeRange, ...]:
        """The executable sections by rising address; the executable segments of a file without sections; all of a raw
        file.

        Raises ImageError for damaged section headers.
        """
        if not self.file.startswith(ELF_MAGIC):
            return tuple(CodeRange(segment.gpa, segment.data) for segment in self.segments)
        try:
            return read_code(self.file)
        except Exception as error:
            raise ImageError(f"{self.name}: damaged sections ({describe(error)}); rebuild or strip it") from error


    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections that take up memory, by rising address; none of what is no ELF file. Raises ImageError."""
        if not self.file.startswith(ELF_MAGIC):
            return ()
        try:
            return read_sections(self.file)
        except Exception as error:
            raise ImageError(f"{self.name}: damaged sections ({describe(error)}); rebuild or strip it") from error


def load_image(path: str | Path) -> Image:
    """Read the ELF file or Linux kernel at path. Raises ImageError for whatever is wrong with it."""
    return parse_image(read_file(path), str(path))


def load_raw(path: str | Path, address: int) -> Image:
    """Read the file at path: an ELF file, a Linux kernel, or else raw bytes that go to `address` (gpa) and start
    there. Raises ImageError."""
    data = unpack_kernel(read_file(path), str(path))
    if data.startswith(ELF_MAGIC) or is_linux_image(data):
        return parse_image(data, str(path))
    if not data:
        raise ImageError(f"{path}: the file is empty")
    return Image(str(path), address, (Segment(address, data, len(data)),), b"")


def read_file(path: str | Path) -> bytes:
    """The bytes of the file at path. Raises ImageError."""
    try:
        file = Path(path)
        if file.exists() and not file.is_file():
            raise ImageError(f"{path}: not a regular file; expected {WANTED}")
        return file.read_bytes()
    except OSError as error:
        reason = strerror(error.errno) if error.errno else str(error)
        hint = "; give the path of an ELF file or the name of a shipped guest" if error.errno == errno.ENOENT else ""
        raise ImageError(f"{path}: {reason}{hint}") from error
    except ValueError as error:
        raise ImageError(f"{str(path)!r}: not a file name ({error})") from error


def parse_image(data: bytes, name: str) -> Image:
    """The image in `data`, the bytes of an ELF file or of a Linux kernel, packed or not; name stands for it in
    messages. Raises ImageError."""
    data = unpack_kernel(data, name)
    if is_linux_image(data):
        offset, size = placement(data)
        return Image(name, RAM_BASE + offset, (Segment(RAM_BASE + offset, data, size),), b"")
    check_identity(data, name)
    try:
        elf = ELFFile(io.BytesIO(data))
        check_headers(elf, data, name)
        headers = [segment.header for segment in elf.iter_segments(type="PT_LOAD")]
    except ImageError:
        raise
    except Exception as error:  # pyelftools raises whatever its parsing stumbles over
        raise ImageError(f"{name}: damaged ELF headers ({describe(error)}); rebuild or copy the file again") from error
    segments = sorted((read_segment(header, data, name) for header in headers if header.p_memsz), key=lambda s: s.gpa)
    if not segments:
        raise ImageError(f"{name}: has no loadable segments; link it as an executable ({WANTED})")
    for lower, upper in pairwise(segments):
        if lower.region.overlaps(upper.region):
            raise ImageError(f"{name}: {lower.region} overlaps {upper.region}; each needs its own physical addresses")
    return Image(name, find_entry(elf.header.e_entry, headers, name), tuple(segments), data)


def place(
    image: Image,
    memory_write: Callable[[int, bytes], None],
    ram_base: int,
    ram_size: int,
    reserved: Sequence[Region] = (),
) -> None:
    """Write the image's segments through memory_write(gpa, data), into RAM that reads as zero (so .bss needs no
    writing).

    reserved: ranges of RAM the image must leave alone, such as the device tree's. Raises ImageError before anything
    is written.
    """
    whole = Region("RAM", ram_base, ram_size)
    for segment in image.segments:
        wanted = segment.region
        if wanted.base < whole.base or wanted.end > whole.end:
            advice = "give the guest more memory or link it there" if wanted.base >= whole.base else "link it there"
            raise ImageError(f"{image.name}: {wanted} does not fit in memory, {whole}; {advice}")
        for taken in reserved:
            if wanted.overlaps(taken):
                raise ImageError(f"{image.name}: {wanted} overlaps the {taken}; give the guest more memory")
    for segment in image.segments:
        if segment.data:
            memory_write(segment.gpa, segment.data)


# --- one check each


def check_identity(data: bytes, name: str) -> None:
    """Refuse, by the first bytes alone, what is no ELF file or one for another kind of processor."""
    if not data:
        raise ImageError(f"{name}: the file is empty; expected {WANTED}")
    if not data.startswith(ELF_MAGIC):
        raise ImageError(f"{name}: not an ELF file; expected {WANTED}")
    if len(data) < EHDR_SIZE:
        raise ImageError(f"{name}: truncated: the file ends within its ELF header; copy or rebuild it")
    if data[EI_CLASS] != ELFCLASS64:
        raise ImageError(f"{name}: a {CLASS_NAMES.get(data[EI_CLASS], 'classless')} ELF; expected {WANTED}")
    if data[EI_DATA] != ELFDATA2LSB:
        raise ImageError(f"{name}: a {DATA_NAMES.get(data[EI_DATA], 'byte-orderless')} ELF; expected {WANTED}")
    machine = int.from_bytes(data[18:20], "little")
    if machine != EM_RISCV:
        built_for = MACHINE_NAMES.get(machine, f"machine number {machine}")
        raise ImageError(f"{name}: built for {built_for}; expected {WANTED}")


def check_headers(elf: ELFFile, data: bytes, name: str) -> None:
    """Refuse what is not a static executable, and header tables that the file does not hold."""
    header = elf.header
    kind = int.from_bytes(data[16:18], "little")
    if kind not in (ET_EXEC, ET_DYN):
        found = TYPE_NAMES.get(kind, f"ELF type {kind}")
        raise ImageError(f"{name}: {found}, not an executable; link it into {WANTED}")
    tables = (
        ("program header", header.e_phoff, elf.num_segments(), header.e_phentsize, PHDR_SIZE),
        ("section header", header.e_shoff, elf.num_sections(), header.e_shentsize, SHDR_SIZE),
    )
    for table, offset, count, entry_size, expected in tables:
        if count and entry_size != expected:
            raise ImageError(f"{name}: damaged ELF: {table}s of {entry_size} bytes; they have {expected}")
        if offset + count * entry_size > len(data):
            raise ImageError(f"{name}: truncated: the {table} table lies beyond the file's end; copy or rebuild it")
    if any(elf.iter_segments(type="PT_INTERP")):
        raise ImageError(f"{name}: dynamically linked (it names an interpreter); link it with -static")


def read_segment(header: Any, data: bytes, name: str) -> Segment:
    """The segment of one PT_LOAD program header. It is placed at p_paddr: the MMU is off at entry."""
    gpa, file_size, memory_size = header.p_paddr, header.p_filesz, header.p_memsz
    if header.p_offset + file_size > len(data):
        raise ImageError(f"{name}: truncated: the segment for {gpa:#x} lies beyond the file's end; copy or rebuild it")
    if memory_size < file_size:
        raise ImageError(f"{name}: damaged ELF: {file_size} bytes for the segment of {memory_size} bytes at {gpa:#x}")
    if gpa + memory_size > ADDRESS_SPACE:
        raise ImageError(f"{name}: damaged ELF: {memory_size:#x} bytes at {gpa:#x} run past the end of all addresses")
    return Segment(gpa, data[header.p_offset : header.p_offset + file_size], memory_size)


def find_entry(entry: int, headers: Sequence[Any], name: str) -> int:
    """The gpa of the entry point; a kernel linked at high virtual addresses gives a gva that its segment translates."""
    if entry % 2:
        raise ImageError(f"{name}: the entry point {entry:#x} is odd; instructions start at even addresses")
    for header in headers:
        if header.p_vaddr <= entry < header.p_vaddr + header.p_filesz:
            return int(entry - header.p_vaddr + header.p_paddr)
    raise ImageError(f"{name}: the entry point {entry:#x} is in no segment; set it with ENTRY() or ld -e")


@lru_cache(maxsize=4)
def read_symbols(data: bytes) -> dict[str, int]:
    """The symbols of `Image.symbols`, once for several VMs of one file; raises anything for a damaged table."""
    symbols: dict[str, int] = {}
    locals_: dict[str, int] = {}
    for section in ELFFile(io.BytesIO(data)).iter_sections(type="SHT_SYMTAB"):
        for symbol in cast(SymbolTableSection, section).iter_symbols():
            entry = symbol.entry
            if symbol.name and entry.st_shndx != "SHN_UNDEF" and entry.st_info.type not in ("STT_FILE", "STT_SECTION"):
                chosen = locals_ if entry.st_info.bind == "STB_LOCAL" else symbols
                chosen[symbol.name] = entry.st_value
    return locals_ | symbols


def read_code(data: bytes) -> tuple[CodeRange, ...]:
    """The ranges of `Image.code_ranges`; raises anything for damaged headers."""
    elf = ELFFile(io.BytesIO(data))
    places = [
        (section.header.sh_addr, section.header.sh_offset, section.header.sh_size)
        for section in elf.iter_sections(type="SHT_PROGBITS")
        if section.header.sh_flags & SHF_EXECINSTR
    ] or [
        (segment.header.p_vaddr, segment.header.p_offset, segment.header.p_filesz)
        for segment in elf.iter_segments(type="PT_LOAD")
        if segment.header.p_flags & PF_X
    ]
    return tuple(CodeRange(address, data[offset : offset + size]) for address, offset, size in sorted(places) if size)


def read_sections(data: bytes) -> tuple[Section, ...]:
    """The sections of `Image.sections`; raises anything for damaged headers."""
    elf = ELFFile(io.BytesIO(data))
    loads = [segment.header for segment in elf.iter_segments(type="PT_LOAD")]
    found = []
    for section in elf.iter_sections():
        header = section.header
        for load in loads:
            if header.sh_flags & SHF_ALLOC and header.sh_size and (
                    load.p_vaddr <= header.sh_addr < load.p_vaddr + load.p_memsz):
                gpa = header.sh_addr - load.p_vaddr + load.p_paddr
                found.append(Section(section.name, header.sh_addr, gpa, header.sh_size))
                break
    return tuple(sorted(found, key=lambda section: section.address))


def describe(error: Exception) -> str:
    """An exception as part of one line."""
    return " ".join(str(error).split()) or type(error).__name__
