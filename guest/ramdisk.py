"""The archive of files that the teaching kernel carries; kernel/ramdisk.c reads it.

Layout, little-endian: `u32 magic, u32 count`, then `count` entries `char name[24], u32 offset, u32 size` in the order
of their names, then the files. Offsets count from the archive's start; each file starts on a page.
"""

from __future__ import annotations

import struct

MAGIC = 0x6B736964  # "disk"
HEADER = struct.Struct("<II")
ENTRY = struct.Struct("<24sII")
PAGE = 4096

ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SEGMENT_LOAD = 1


def pack(files: dict[str, bytes]) -> bytes:
    """Return the archive of `files` (name to content); names are at most 23 bytes of ASCII."""
    names = sorted(files)
    archive = bytearray(HEADER.size + ENTRY.size * len(names))
    HEADER.pack_into(archive, 0, MAGIC, len(names))
    for index, name in enumerate(names):
        if len(name) > 23:
            raise ValueError(f"{name}: a ramdisk file's name has at most 23 characters")
        archive += bytes(-len(archive) % PAGE)
        entry = (name.encode("ascii"), len(archive), len(files[name]))
        ENTRY.pack_into(archive, HEADER.size + ENTRY.size * index, *entry)
        archive += files[name]
    return bytes(archive)


def strip_elf(elf: bytes) -> bytes:
    """Return a 64-bit ELF file without what follows its last loaded byte: symbols, debug data, section headers."""
    header = list(ELF_HEADER.unpack_from(elf))
    program_headers, size, count = header[5], header[9], header[10]
    end = program_headers + size * count
    for index in range(count):
        kind, _, offset, _, _, file_size, *_ = PROGRAM_HEADER.unpack_from(elf, program_headers + size * index)
        if kind == SEGMENT_LOAD:
            end = max(end, offset + file_size)
    header[6] = header[12] = header[13] = 0  # e_shoff, e_shnum, e_shstrndx
    return ELF_HEADER.pack(*header) + elf[ELF_HEADER.size : end]
