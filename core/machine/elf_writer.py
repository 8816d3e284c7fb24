"""Writes the smallest ELF file that our loader, QEMU and objdump take: one segment of code, and its symbols.

Source: System V ABI (gABI) chapters 4 and 5; RISC-V ELF psABI.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

EHDR, PHDR, SHDR, SYM = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<IIQQQQIIQQ", "<IBBHQQ"
ET_EXEC, EM_RISCV, EV_CURRENT, EF_RISCV_RVC = 2, 243, 1, 1
PT_LOAD, PF_RWX = 1, 7
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB = 1, 2, 3
SHF_ALLOC_EXEC = 6
SHN_ABS = 0xFFF1
STB_GLOBAL_NOTYPE = 0x10
PAGE = 4096


def elf_file(code: bytes, base: int, entry: int, symbols: Mapping[str, int]) -> bytes:
    """An executable with `code` at address `base` (gpa and gva alike), started at `entry`.

    symbols: address by name.
    """
    names = b"\0"
    table = struct.pack(SYM, 0, 0, 0, 0, 0, 0)
    for name, address in sorted(symbols.items(), key=lambda item: item[1]):
        section = 1 if base <= address <= base + len(code) else SHN_ABS
        table += struct.pack(SYM, len(names), STB_GLOBAL_NOTYPE, 0, section, address & (1 << 64) - 1, 0)
        names += name.encode() + b"\0"
    section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    code_at = PAGE + base % PAGE  # a segment's place in the file and in memory agree modulo the page size
    table_at = code_at + len(code) + -(code_at + len(code)) % 8
    names_at = table_at + len(table)
    section_names_at = names_at + len(names)
    sections_at = section_names_at + len(section_names) + -(section_names_at + len(section_names)) % 8
    ident = b"\x7fELF" + bytes([2, 1, EV_CURRENT]) + bytes(9)
    header = struct.pack(
        EHDR, ident, ET_EXEC, EM_RISCV, EV_CURRENT, entry, struct.calcsize(EHDR), sections_at, EF_RISCV_RVC,
        struct.calcsize(EHDR), struct.calcsize(PHDR), 1, struct.calcsize(SHDR), 5, 4)
    program = struct.pack(PHDR, PT_LOAD, PF_RWX, code_at, base, base, len(code), len(code), PAGE)
    sections = b"".join((
        struct.pack(SHDR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack(SHDR, 1, SHT_PROGBITS, SHF_ALLOC_EXEC, base, code_at, len(code), 0, 0, 4, 0),
        struct.pack(SHDR, 7, SHT_SYMTAB, 0, 0, table_at, len(table), 3, 1, 8, struct.calcsize(SYM)),
        struct.pack(SHDR, 15, SHT_STRTAB, 0, 0, names_at, len(names), 0, 0, 1, 0),
        struct.pack(SHDR, 23, SHT_STRTAB, 0, 0, section_names_at, len(section_names), 0, 0, 1, 0),
    ))
    data = bytearray(sections_at)
    for at, part in ((0, header), (len(header), program), (code_at, code), (table_at, table), (names_at, names),
                     (section_names_at, section_names)):
        data[at : at + len(part)] = part
    return bytes(data) + sections
