"""Copy-on-write overlays: a file that holds what was written, and leaves the image below it, its base, untouched.

    0         header: magic, format, cluster size, disk size, length of the base's path; then the path (UTF-8)
    4096      bitmap: bit n (of byte n // 8, bit n % 8) says that cluster n is here and not in the base
    then, at the next multiple of the cluster size: cluster n at n * cluster size; holes where the bit is clear

A bit is stored only when its cluster is durable, and bits are never cleared. So whichever part of the writes since the
last flush survives a crash, each cluster is found either whole here, as of that flush or later, or in the base, where
it was never written: no journal is needed.
"""

from pathlib import Path
from struct import Struct
from typing import Final

from ...errors import ConfigError
from .storage import SECTOR, BackingFile, HostFile, RawDisk, Storage, split, write_zeroes

MAGIC: Final = b"hartvisor overlay\n"
FORMAT: Final = 1
HEADER = Struct("<18sHIQI")
CLUSTER: Final = 64 << 10
BITMAP: Final = 4096
PAGE: Final = 4096


def data_offset(size: int, cluster: int = CLUSTER) -> int:
    """Where cluster 0 of a disk of `size` bytes lies in the overlay's file."""
    bitmap = -(-size // (8 * cluster))
    return -(-(BITMAP + bitmap) // cluster) * cluster


class OverlayDisk:
    """The disk that an overlay and its base make. file: the overlay's, with a header; base: what it lies on."""

    is_read_only = False

    def __init__(self, file: BackingFile, base: Storage) -> None:
        _, _, self._cluster, self.size, _ = HEADER.unpack(file.read(0, HEADER.size))
        self._file = file
        self._base = base
        self._data = data_offset(self.size, self._cluster)
        self._bitmap = bytearray(file.read(BITMAP, -(-self.size // (8 * self._cluster))))
        self._fresh: set[int] = set()  # clusters written here of which the stored bitmap does not know

    def read(self, offset: int, length: int) -> bytes:
        """Each cluster from where it is."""
        return b"".join(
            self._file.read(self._data + number * self._cluster + start, end - start)
            if self._has(number)
            else self._base.read(number * self._cluster + start, end - start)
            for number, start, end, _ in split(offset, length, self._cluster)
        )

    def write(self, offset: int, data: bytes) -> None:
        """Into the overlay; a cluster written for the first time, but not as a whole, is completed from the base."""
        for number, start, end, at in split(offset, len(data), self._cluster):
            part = data[at : at + end - start]
            begin = number * self._cluster
            if self._has(number):
                self._file.write(self._data + begin + start, part)
                continue
            length = min(self._cluster, self.size - begin)
            if len(part) < length:
                whole = bytearray(self._base.read(begin, length))
                whole[start:end] = part
                part = bytes(whole)
            self._file.write(self._data + begin, part)
            self._bitmap[number // 8] |= 1 << number % 8
            self._fresh.add(number)

    def write_zeroes(self, offset: int, length: int) -> None:
        """Zeros, stored."""
        write_zeroes(self, offset, length)

    def flush(self) -> None:
        """First the clusters become durable, then the bits that speak of them."""
        self._file.sync()
        if self._fresh:
            for page in sorted({number // 8 // PAGE for number in self._fresh}):
                self._file.write(BITMAP + page * PAGE, bytes(self._bitmap[page * PAGE : (page + 1) * PAGE]))
            self._file.sync()
            self._fresh.clear()

    def close(self) -> None:
        """Flush, and close both files. Raises OSError where flushing fails; they are closed all the same."""
        try:
            self.flush()
        finally:
            self._file.close()
            self._base.close()

    def _has(self, number: int) -> bool:
        return bool(self._bitmap[number // 8] >> number % 8 & 1)


def create_overlay(path: Path, base: Path) -> None:
    """Make an empty overlay on the image `base`, which may itself be one. Raises ConfigError where either cannot be."""
    below = open_disk(base, is_read_only=True)
    size = below.size
    below.close()
    name = str(base.resolve()).encode()
    if HEADER.size + len(name) > BITMAP:
        raise ConfigError(f"{base}: a path of {len(name)} bytes is too long for an overlay")
    file = HostFile(path, create=True)
    try:
        file.truncate(data_offset(size) + size)
        file.write(0, HEADER.pack(MAGIC, FORMAT, CLUSTER, size, len(name)) + name)
        file.sync()
    finally:
        file.close()


def open_disk(path: Path, *, is_read_only: bool = False) -> Storage:
    """The disk in a file: an overlay, if it says so, else a raw image. Raises ConfigError where it cannot be opened."""
    file = HostFile(path, is_read_only=is_read_only)
    try:
        header = file.read(0, BITMAP)
        if not header.startswith(MAGIC):
            return RawDisk(file)
        return _open_overlay(file, header)
    except BaseException:
        file.close()
        raise


def _open_overlay(file: HostFile, header: bytes) -> Storage:
    _, version, cluster, size, name_length = HEADER.unpack_from(header)
    name = header[HEADER.size : HEADER.size + name_length]
    if version != FORMAT:
        raise ConfigError(f"{file.path}: an overlay of format {version}; this version knows format {FORMAT}")
    if cluster < SECTOR or cluster & cluster - 1 or size % SECTOR or len(name) != name_length:
        raise ConfigError(f"{file.path}: a damaged overlay header")
    base = open_disk(Path(name.decode(errors="replace")), is_read_only=True)
    if base.size != size:
        base.close()
        raise ConfigError(f"{file.path}: an overlay of {size} bytes, but its base {name.decode()} now has {base.size}")
    return ReadOnly(OverlayDisk(file, base)) if file.is_read_only else OverlayDisk(file, base)


class ReadOnly:
    """A disk that takes no writes."""

    is_read_only = True

    def __init__(self, below: Storage) -> None:
        self.size = below.size
        self.read = below.read
        self.close = below.close

    def write(self, offset: int, data: bytes) -> None:
        """The caller should have known."""
        raise PermissionError("a read-only disk")

    def write_zeroes(self, offset: int, length: int) -> None:
        """The caller should have known."""
        raise PermissionError("a read-only disk")

    def flush(self) -> None:
        """There is nothing to make durable."""
