"""Writes cpio archives in the `newc` format, which Linux takes as an initramfs.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. The same entries give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

FILE, FOLDER, LINK, CHARACTER_DEVICE = 0o100000, 0o040000, 0o120000, 0o020000
TRAILER = "TRAILER!!!"


class Entry(NamedTuple):
    """One file: its path without the first slash, its type and permissions (st_mode), its contents or a link's target.

    device: major and minor number, of devices only.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def write_cpio(entries: Iterable[Entry]) -> bytes:
    """The archive of these entries, folders before what is in them, all owned by root."""
    archive = bytearray()
    for inode, entry in enumerate([*entries, Entry(TRAILER, 0)], 1):
        name = entry.path.encode() + b"\0"
        links = 2 if entry.mode & 0o170000 == FOLDER else 1
        fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        archive += bytes(-len(archive) % 4) + entry.data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
