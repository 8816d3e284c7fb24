"""Makes ELF files to order, sound ones and broken ones, without any tool of ours or anyone else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

EM_RISCV = 243
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_INTERP = 1, 3
EHDR_SIZE, PHDR_SIZE, SHDR_SIZE = 64, 56, 64
SHT_SYMTAB, SHT_STRTAB = 2, 3
STB_LOCAL, STB_GLOBAL = 0, 1
SHN_ABS = 0xFFF1


@dataclass(frozen=True)
class Part:
    """A program header and its bytes. None: as the data says; vaddr follows paddr."""

    paddr: int
    data: bytes
    memsz: int | None = None
    vaddr: int | None = None
    kind: int = PT_LOAD
    filesz: int | None = None
    is_executable: bool = True


@dataclass(frozen=True)
class Symbol:
    """A symbol table entry."""

    name: str
    value: int
    bind: int = STB_GLOBAL


def make_elf(
    parts: Sequence[Part],
    entry: int,
    symbols: Sequence[Symbol] = (),
    *,
    elf_class: int = 2,
    byte_order: int = 1,
    kind: int = ET_EXEC,
    machine: int = EM_RISCV,
) -> bytes:
    """An ELF64 file: headers, then each part's data, then a symbol table if there are symbols."""
    offset = EHDR_SIZE + PHDR_SIZE * len(parts)
    headers, body = b"", b""
    for part in parts:
        filesz = len(part.data) if part.filesz is None else part.filesz
        memsz = filesz if part.memsz is None else part.memsz
        vaddr = part.paddr if part.vaddr is None else part.vaddr
        flags = 7 if part.is_executable else 6
        headers += pack("<IIQQQQQQ", part.kind, flags, offset + len(body), vaddr, part.paddr, filesz, memsz, 0x1000)
        body += part.data
    sections = b""
    if symbols:
        names = b"\0" + b"".join(symbol.name.encode() + b"\0" for symbol in symbols)
        table = bytes(24)
        for symbol in symbols:
            name_at = names.index(b"\0" + symbol.name.encode() + b"\0") + 1
            table += pack("<IBBHQQ", name_at, symbol.bind << 4, 0, SHN_ABS, symbol.value, 0)
        body += bytes(-(offset + len(body)) % 8)
        table_at = offset + len(body)
        body += table + names
        names_at = table_at + len(table)
        first_global = 1 + sum(symbol.bind == STB_LOCAL for symbol in symbols)
        sections = bytes(SHDR_SIZE)
        sections += pack("<IIQQQQIIQQ", 0, SHT_SYMTAB, 0, 0, table_at, len(table), 2, first_global, 8, 24)
        sections += pack("<IIQQQQIIQQ", 0, SHT_STRTAB, 0, 0, names_at, len(names), 0, 0, 1, 0)
    shoff = offset + len(body) if sections else 0
    ident = b"\x7fELF" + bytes((elf_class, byte_order, 1)) + bytes(9)
    header = ident + pack(
        "<HHIQQQIHHHHHH",
        *(kind, machine, 1, entry, EHDR_SIZE, shoff, 0, EHDR_SIZE),
        *(PHDR_SIZE, len(parts), SHDR_SIZE, len(sections) // SHDR_SIZE, 2 if sections else 0),
    )
    return header + headers + body + sections
