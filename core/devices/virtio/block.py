"""The block device (virtio 5.2): sectors of a Storage, one request a chain, answered before the notification is over.

A request is {le32 type, le32 reserved, le64 sector}, data, {u8 status}. A request out of bounds, a host error and a
write to a read-only disk end as IOERR; what we do not know as UNSUPP. A flush is answered when the storage has made
everything durable; for a driver that did not accept VIRTIO_BLK_F_FLUSH, so is each write (virtio 5.2.6.2).
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from .device import VirtioDevice
from .queue import Chain, Malformed
from .storage import SECTOR, Storage

F_SEG_MAX = 1 << 2
F_RO = 1 << 5
F_BLK_SIZE = 1 << 6
F_FLUSH = 1 << 9
F_WRITE_ZEROES = 1 << 14

T_IN = 0
T_OUT = 1
T_FLUSH = 4
T_GET_ID = 8
T_WRITE_ZEROES = 13

S_OK = 0
S_IOERR = 1
S_UNSUPP = 2

HEADER = Struct("<IIQ")
SEGMENT = Struct("<QII")
UNMAP = 1

QUEUE_SIZE: Final = 256
MAX_ZEROES: Final = 1 << 16  # sectors
ID_BYTES: Final = 20
#: Bytes moved at once, so that a huge request needs no huge buffer.
PIECE: Final = 1 << 20


class Failed(Exception):
    """The request's status is to be this."""

    def __init__(self, status: int) -> None:
        self.status = status


class VirtioBlock(VirtioDevice):
    """A disk. storage: its sectors. serial: what GET_ID says, at most 20 ASCII characters.

    observer: called as observer(type, sector, bytes of data, status) with each request that was answered.
    """

    device_id = 2
    queue_sizes = (QUEUE_SIZE,)

    def __init__(self, storage: Storage, serial: str = "hartvisor") -> None:
        super().__init__()
        self.storage = storage
        self.observer: Callable[[int, int, int, int], None] | None = None
        self._serial = serial.encode("ascii")[:ID_BYTES].ljust(ID_BYTES, b"\0")
        self.features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | (F_RO if storage.is_read_only else F_WRITE_ZEROES)
        config = bytearray(60)  # struct virtio_blk_config up to unused1 (virtio 5.2.4)
        config[0:8] = (storage.size // SECTOR).to_bytes(8, "little")
        config[12:16] = (QUEUE_SIZE - 2).to_bytes(4, "little")
        config[20:24] = SECTOR.to_bytes(4, "little")
        config[32] = 1  # writeback
        config[48:52] = MAX_ZEROES.to_bytes(4, "little")
        config[52:56] = (1).to_bytes(4, "little")
        self._config = bytes(config)

    @property
    def config(self) -> bytes:
        """Capacity and limits; they never change."""
        return self._config

    def notify(self, index: int) -> None:
        """Answer every request that waits."""
        assert self.link is not None
        queue = self.link.queues[index]
        while (chain := queue.pop()) is not None:
            self._answer(chain)
            queue.push(chain)

    def _answer(self, chain: Chain) -> None:
        header = chain.read(HEADER.size)
        if len(header) < HEADER.size or not chain.writable:
            raise Malformed("a block request without a header or a status")
        kind, _, sector = HEADER.unpack(header)
        room = chain.writable - 1
        length = chain.readable or room
        try:
            self._do(kind, sector * SECTOR, room, chain)
            status = S_OK
        except Failed as failed:
            status = failed.status
        except OSError:
            status = S_IOERR
        chain.skip(chain.writable - 1)
        chain.write(bytes((status,)))
        if self.observer is not None:
            self.observer(kind, sector, length, status)

    def _do(self, kind: int, offset: int, room: int, chain: Chain) -> None:
        """Serve one request. room: bytes of data that the driver wants."""
        storage = self.storage
        if kind == T_IN:
            self._check(offset, room)
            for at in range(0, room, PIECE):
                chain.write(storage.read(offset + at, min(PIECE, room - at)))
        elif kind == T_OUT:
            self._check(offset, chain.readable)
            self._check_writable()
            while chain.readable:
                data = chain.read(PIECE)
                storage.write(offset, data)
                offset += len(data)
            self._write_through()
        elif kind == T_FLUSH:
            storage.flush()
        elif kind == T_GET_ID:
            chain.write(self._serial[:room])
        elif kind == T_WRITE_ZEROES:
            self._write_zeroes(chain)
        else:
            raise Failed(S_UNSUPP)

    def _write_zeroes(self, chain: Chain) -> None:
        """One segment (virtio 5.2.6); unmapping is only an offer, and not taken."""
        self._check_writable()
        segment = chain.read(SEGMENT.size)
        if len(segment) < SEGMENT.size or chain.readable:
            raise Failed(S_IOERR)
        sector, count, flags = SEGMENT.unpack(segment)
        if flags & ~UNMAP:
            raise Failed(S_UNSUPP)
        if count > MAX_ZEROES:
            raise Failed(S_IOERR)
        self._check(sector * SECTOR, count * SECTOR)
        self.storage.write_zeroes(sector * SECTOR, count * SECTOR)
        self._write_through()

    def _check(self, offset: int, length: int) -> None:
        if length % SECTOR or offset + length > self.storage.size:
            raise Failed(S_IOERR)

    def _check_writable(self) -> None:
        if self.storage.is_read_only:
            raise Failed(S_IOERR)

    def _write_through(self) -> None:
        assert self.link is not None
        if not self.link.features & F_FLUSH:
            self.storage.flush()

    def close(self) -> None:
        """Close the storage."""
        self.storage.close()
