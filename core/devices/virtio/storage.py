"""What a disk keeps its bytes in: host files, raw or as a copy-on-write overlay, and RAM.

Each is a Storage. A write may stay in the host's cache until `flush` returns; then it outlives a crash of the host, and
so does everything written before it.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol

from ...errors import ConfigError

SECTOR = 512


class Storage(Protocol):
    """Bytes by offset, whole sectors. The caller stays within `size` and writes nothing that is_read_only.

    Methods raise OSError where the host fails.
    """

    @property
    def size(self) -> int:
        """Bytes, a multiple of SECTOR."""

    @property
    def is_read_only(self) -> bool: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def write_zeroes(self, offset: int, length: int) -> None: ...

    def flush(self) -> None:
        """Return when all that was written is durable."""

    def close(self) -> None: ...


class HostFile:
    """A file that is ours alone while it is open; for reading only, others may read it too.

    Raises ConfigError where it cannot be opened, or another process (or another disk here) has it.
    """

    def __init__(self, path: Path, *, is_read_only: bool = False, create: bool = False) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self._sync_failure: OSError | None = None
        flags = os.O_RDONLY if is_read_only else os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        try:
            self._fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if is_read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise ConfigError(f"{path}: {error.strerror}") from None
            raise ConfigError(f"{path}: in use by another machine; a disk can be shared only if all open it read-only, "
                              "or through an overlay each") from None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.lseek(self._fd, 0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes; zeros behind the file's end."""
        parts = []
        while length > 0:
            part = os.pread(self._fd, length, offset) or bytes(length)
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Store data; the file grows as it must."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self._fd, view, offset)
            offset += done
            view = view[done:]

    def truncate(self, size: int) -> None:
        """Make the file `size` bytes long, with a hole where it grows."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Make all of it durable. A host that failed once may have dropped the data and would say "done" the next time:
        so once failed is failed for good."""
        if self._sync_failure is not None:
            raise self._sync_failure
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._sync_failure = error
            raise

    def close(self) -> None:
        """Give the file, and with it the lock, back."""
        os.close(self._fd)


class BackingFile(Protocol):
    """What RawDisk and OverlayDisk need of a HostFile."""

    @property
    def size(self) -> int: ...

    @property
    def is_read_only(self) -> bool: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class RawDisk:
    """A disk whose bytes are a file's. A file that ends within a sector is read as if zeros followed."""

    def __init__(self, file: BackingFile) -> None:
        self._file = file
        self.size = -(-file.size // SECTOR) * SECTOR

    @property
    def is_read_only(self) -> bool:
        """As the file was opened."""
        return self._file.is_read_only

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file."""
        return self._file.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Into the file."""
        self._file.write(offset, data)

    def write_zeroes(self, offset: int, length: int) -> None:
        """Zeros, stored."""
        write_zeroes(self, offset, length)

    def flush(self) -> None:
        """fsync."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class MemoryDisk:
    """A disk in RAM, on top of another that stays as it is, or of nothing: gone when it is closed.

    size: bytes, a multiple of SECTOR, where there is no base. Its pages can be saved and put back (machine/paged.py).
    """

    PAGE = 4096

    is_read_only = False

    def __init__(self, size: int = 0, base: Storage | None = None) -> None:
        self.size = base.size if base is not None else size
        self._base = base
        self._pages: dict[int, bytes] = {}
        self._dirty: dict[int, set[int]] = {}

    def take_dirty(self, log: int) -> list[int]:
        """The pages written to since this log was taken last, or since the start."""
        dirty = self._dirty.get(log, set(self._pages))
        self._dirty[log] = set()
        return sorted(dirty)

    def written(self) -> list[int]:
        """The pages written here."""
        return sorted(self._pages)

    def read_page(self, number: int) -> bytes | None:
        """A page written here, PAGE bytes but for the disk's last; None for one that is the base's."""
        return self._pages.get(number)

    def write_page(self, number: int, data: bytes | None) -> None:
        """Replace a page; None brings the base's back."""
        if data is None:
            self._pages.pop(number, None)
        else:
            self._pages[number] = data
        for dirty in self._dirty.values():
            dirty.add(number)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes written here, or else the base's."""
        data = bytearray(self._base.read(offset, length) if self._base is not None else bytes(length))
        for page, start, end, at in split(offset, length, self.PAGE):
            if page in self._pages:
                data[at : at + end - start] = self._pages[page][start:end]
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Into RAM."""
        for page, start, end, at in split(offset, len(data), self.PAGE):
            begin = page * self.PAGE
            length = min(self.PAGE, self.size - begin)
            whole = data[at : at + end - start]
            if len(whole) < length:
                old = self._pages.get(page) or (self._base.read(begin, length) if self._base else bytes(length))
                whole = old[:start] + whole + old[end:]
            self.write_page(page, bytes(whole))

    def write_zeroes(self, offset: int, length: int) -> None:
        """Zeros."""
        write_zeroes(self, offset, length)

    def flush(self) -> None:
        """Nothing here can be made durable."""

    def close(self) -> None:
        """Forget it all, and close the base."""
        self._pages.clear()
        if self._base is not None:
            self._base.close()


def split(offset: int, length: int, unit: int) -> list[tuple[int, int, int, int]]:
    """The units that [offset, offset + length) touches: (unit's number, start and end within it, position of that part
    in the whole)."""
    parts, at = [], 0
    while at < length:
        number, start = divmod(offset + at, unit)
        end = min(unit, start + length - at)
        parts.append((number, start, end, at))
        at += end - start
    return parts


def write_zeroes(storage: Storage, offset: int, length: int, piece: int = 1 << 20) -> None:
    """Zeros to [offset, offset + length), at most `piece` bytes at once."""
    for start in range(offset, offset + length, piece):
        storage.write(start, bytes(min(piece, offset + length - start)))
